/**
 * Inputs of the maximum length that repeat one element many times. They reveal code whose time grows faster than the
 * length of its input, and random mutation would not find them.
 *
 * @module
 */
import { writePe } from "../../attestation/uki/testing/images.ts";
import { base64, concat, utf8 } from "../../platform/bytes.ts";
import type { Bytes } from "../../platform/bytes.ts";

const DOCUMENT_BYTES = 64 << 10;
const LOG_BYTES = 1 << 20;
const MESSAGE_BYTES = 256 << 10;
/** The start of a policy, up to the place where a long list or mapping begins. */
const POLICY = "version: 1\nvariant: tpm\ntpm: {ekType: rsa2048, ";

/** Concatenates pieces after `head`. */
function many(bytes: number, piece: (index: number) => string, head = "", tail = ""): Bytes {
  let text = head;
  for (let i = 0; text.length < bytes - 100; i++) text += piece(i);
  return utf8(text + tail);
}

const YAML: readonly Bytes[] = [
  (i: number) => `${i.toString(36)}:\n`,
  () => "[",
  () => "{a: ",
  () => "- ",
  () => "? ",
  (i: number) => `- &a${i}\n`,
  () => '"a" ',
  () => "!a ",
  () => "%a\n",
  () => "#\n",
  () => "\n",
].map((piece) => many(DOCUMENT_BYTES, piece));

function kubeconfigOf(certificate: string, key: string): Bytes {
  const users = `{client-certificate-data: "${base64(utf8(certificate))}", client-key-data: "${base64(utf8(key))}"}`;
  const clusters = '[{name: a, cluster: {server: a, certificate-authority-data: "YQ=="}}]';
  const context = "contexts: [{name: a, context: {cluster: a, user: a}}]\ncurrent-context: a\n";
  return utf8(`clusters: ${clusters}\nusers: [{name: a, user: ${users}}]\n${context}`);
}

const LONG_INPUTS: Readonly<Record<string, () => readonly Bytes[]>> = {
  policy: () => [
    ...YAML,
    many(DOCUMENT_BYTES, () => "{x: 1},", `${POLICY}pcrs: {}, trust: {issuers: [`, "]}}\n"),
    many(DOCUMENT_BYTES, (i) => `x${i}: 1,`, `${POLICY}trust: {}, pcrs: {`, "}}\n"),
    many(DOCUMENT_BYTES, (i) => `${i}: 1,`, `${POLICY}trust: {issuers: [{attributes: {`, "}}]}}\n"),
  ],
  "etcd-manifest": () => YAML,
  kubeconfig: () => [
    ...YAML,
    kubeconfigOf("-----BEGIN CERTIFICATE-----".repeat(5000), "a"),
    kubeconfigOf("-----BEGIN CERTIFICATE-----a-----END CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----".repeat(5000)),
  ],
  uki: () => [writePe([{ name: ".sdmagic", content: utf8(`#### LoaderInfo: systemd-stub ${"1".repeat(100_000)}`) }])],
  messages: () => [
    new Uint8Array(MESSAGE_BYTES).fill(0x0b),
    concat(...Array.from({ length: MESSAGE_BYTES / 4 }, () => Uint8Array.of(0x12, 0))),
  ],
  "event-log": () => [
    new Uint8Array(LOG_BYTES),
    concat(new Uint8Array(28), Uint8Array.of(0xe0, 0xff, 0x0f, 0), new Uint8Array(0xfffe0).fill(0x61)),
  ],
  "evidence-file": () => [utf8("[".repeat(MESSAGE_BYTES))],
  status: () => [utf8(`{"version":1,"x":${'{"a":'.repeat(9000)}1${"}".repeat(9000)}}`)],
  fields: () =>
    ["1.", "a-", " ", "ssh-ed25519 "].map((piece) => utf8(`${piece.repeat(DOCUMENT_BYTES / piece.length - 1)}é`)),
  pem: () => [
    many(DOCUMENT_BYTES, () => "AAAA\n", "-----BEGIN A-----\n"),
    many(DOCUMENT_BYTES, () => " ", "-----BEGIN A-----\nAAAA\n-----END A-----", "x"),
  ],
  "kubernetes-status": () =>
    ["-----BEGIN A", "client-key-data: ", "a"].map((piece) => utf8(JSON.stringify({ message: piece.repeat(60_000) }))),
};

/** The long inputs of a target. */
export function longInputsOf(target: string): readonly Bytes[] {
  return LONG_INPUTS[target]?.() ?? [];
}
