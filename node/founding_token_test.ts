import assert from "node:assert/strict";
import { join } from "node:path";
import { KINDS } from "../attestation/kinds.ts";
import { base64, hex, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createLog } from "../platform/log.ts";
import { createFoundingToken, deriveToken, tokenKeyText } from "../protocol/founding_token.ts";
import { readNodeConfiguration } from "./configuration.ts";
import { loadFoundingToken } from "./founding_token.ts";
import type { FirmwareData } from "./host_credentials.ts";
import { CONFIGURATION_CREDENTIAL, readFirmwareData, TOKEN_CREDENTIAL, wipeFirmwareData } from "./host_credentials.ts";
import { recordMembership } from "./membership.ts";
import { writeSmbios } from "./testing/smbios.ts";

const TOKEN = createFoundingToken();
const OTHER = createFoundingToken();
const { spki } = await deriveToken(TOKEN, "demo");
const NONE = "evidence: {variant: none, allowInsecure: true}\n";
const trust = (founding: string) =>
  `version: 1\ntrust:\n  clusterName: demo\n  operatorKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJQerGpWlI80JcEic8Yna9LIKtBoKILqft3+7VpvjUyh"]\n${founding}`;
const BY_TOKEN = trust(`  founding: {size: 3, tokenKey: "${tokenKeyText(spki)}"}\n`) + NONE;
const A = "a".repeat(64);
const BY_POLICY = trust(
  `  founding: {size: 3, policy: {version: 1, variant: tpm, tpm: {ekType: rsa2048, pcrs: {"4": ["${A}"]}, trust: {identities: ["${A}"]}}, roles: {controlPlanes: ["${A}"]}}}\n`,
);
const PEERS = "founding: {peers: [a.example]}\n";
const JOIN = 'join: {endpoints: ["a.example:9444"]}\n';
const FOUNDER = BY_TOKEN + PEERS;
const LATER = `${BY_TOKEN}${JOIN}node: {role: control-plane}\n`;
const WORKER = BY_TOKEN + JOIN;
const PLAIN = trust("") + JOIN;

const NOTHING: FirmwareData = { smbios: undefined, fwCfg: new Map() };

interface Given {
  /** The unit's credential. */
  readonly unit?: string;
  readonly firmware?: FirmwareData;
  readonly isMember?: boolean;
}

/** What becomes of a token: its key or the code of its error, and what was logged. */
async function load(configuration: string, { unit, firmware = NOTHING, isMember = false }: Given) {
  const root = await Deno.makeTempDir();
  const lines: string[] = [];
  const clock = { now: () => new Date(), monotonicMs: () => 0, sleep: () => Promise.resolve() };
  let said = "";
  let code = "";
  let key: Uint8Array | undefined;
  try {
    if (unit !== undefined) await Deno.writeTextFile(join(root, TOKEN_CREDENTIAL), unit);
    if (isMember) await recordMembership(root, clock, { nodeName: "cp-1", role: "control-plane" });
    const keys = await loadFoundingToken({
      configuration: readNodeConfiguration(configuration, "FILE", KINDS),
      credentialsFolder: root,
      firmware,
      stateFolder: root,
      log: createLog(clock, (line) => lines.push(line)),
    });
    assert.ok(keys === undefined || !keys.privateKey.extractable);
    key = keys?.spki;
  } catch (error) {
    assert.ok(error instanceof BootstrapError, String(error));
    code = error.code;
    said = error.message;
    const all = JSON.stringify([error.message, error.details, error.next, String(error.cause)]);
    for (const token of [TOKEN, OTHER]) assert.ok(!all.includes(token.slice(5, 13)), all);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
  for (const token of [TOKEN, OTHER]) assert.ok(!lines.join().includes(token.slice(5, 13)));
  return { key: key === undefined ? undefined : hex(key), code, said, log: lines.join("\n") };
}

Deno.test("loadFoundingToken() gives the token's key to a founder, and to a control plane that joins later", async () => {
  for (const configuration of [FOUNDER, LATER]) {
    const { key, log } = await load(configuration, { unit: `${TOKEN}\n` });
    assert.equal(key, hex(spki));
    assert.equal(log, "");
  }
});

Deno.test("loadFoundingToken() refuses a token that does not give the token key, or that is mistyped", async () => {
  for (const configuration of [FOUNDER, LATER]) {
    assert.equal((await load(configuration, { unit: OTHER })).code, "usage/founding-token-other");
    assert.equal((await load(configuration, { unit: TOKEN.replace("bft1-", "") })).code, "usage/founding-token");
    assert.equal((await load(configuration, { unit: "" })).code, "usage/founding-token");
    assert.equal((await load(configuration, { unit: "\ud800" })).code, "usage/founding-token");
    assert.equal((await load(configuration, { unit: TOKEN.padEnd(5000) })).code, "malformed/size");
  }
  const renamed = await load(FOUNDER.replace("clusterName: demo", "clusterName: prod"), { unit: TOKEN });
  assert.equal(renamed.code, "usage/founding-token-other");
  assert.match(renamed.said, /for the cluster prod/);
});

Deno.test("loadFoundingToken() refuses to go on without a token where there is a token key", async () => {
  const founder = await load(FOUNDER, {});
  assert.equal(founder.code, "usage/founding-token-missing");
  assert.match(founder.said, /a founder needs the founding token, and there is no credential bootstrapper\.token/);
  assert.match((await load(LATER, {})).said, /a control plane that joins needs the founding token/);
  for (const configuration of [WORKER, PLAIN, BY_POLICY + PEERS, BY_POLICY + JOIN]) {
    assert.deepEqual(await load(configuration, {}), { key: undefined, code: "", said: "", log: "" });
  }
});

Deno.test("loadFoundingToken() refuses a founder's token where nobody asks for one, and names one that a worker holds", async () => {
  const founder = await load(BY_POLICY + PEERS, { unit: TOKEN });
  assert.equal(founder.code, "usage/founding-token-other");
  assert.match(founder.said, /trust\.founding has no tokenKey/);
  const worker = await load(WORKER, { unit: TOKEN });
  assert.equal(worker.key, undefined);
  assert.match(worker.log, /a worker needs no founding token/);
  assert.match((await load(PLAIN, { unit: TOKEN })).log, /nothing uses the founding token/);
});

Deno.test("loadFoundingToken() gives its token to a control plane that was made after the founding, and knows its cluster", async () => {
  const later = `${
    PLAIN.replace("  operatorKeys", `  clusterId: sha256:${A}\n  operatorKeys`)
  }node: {role: control-plane}\n`;
  assert.equal((await load(later, { unit: TOKEN })).key, hex(spki));
  assert.equal((await load(later, { unit: "bft1-wrong" })).code, "usage/founding-token");
  assert.deepEqual(await load(later, {}), { key: undefined, code: "", said: "", log: "" });
});

Deno.test("loadFoundingToken() does not read a member's token", async () => {
  for (const unit of [TOKEN, OTHER, "wrong"]) {
    assert.deepEqual(await load(FOUNDER, { unit, isMember: true }), { key: undefined, code: "", said: "", log: "" });
  }
  assert.equal((await load(FOUNDER, { isMember: true })).code, "");
});

Deno.test("loadFoundingToken() takes the host's credential where the unit has none, and its memory can be wiped", async () => {
  const smbios = writeSmbios(
    `io.systemd.credential:${CONFIGURATION_CREDENTIAL}=a: 1`,
    `io.systemd.credential:${TOKEN_CREDENTIAL}=${TOKEN}`,
  );
  const binary = writeSmbios(`io.systemd.credential.binary:${TOKEN_CREDENTIAL}=${base64(utf8(TOKEN))}`);
  for (const table of [smbios, binary]) {
    assert.equal((await load(FOUNDER, { firmware: { smbios: table, fwCfg: new Map() } })).key, hex(spki));
  }
  const firmware: FirmwareData = { smbios, fwCfg: new Map([[TOKEN_CREDENTIAL, utf8(OTHER)]]) };
  assert.equal((await load(FOUNDER, { firmware, unit: TOKEN })).key, hex(spki));
  assert.equal((await load(FOUNDER, { firmware })).key, hex(spki));
  const { smbios: _, ...onlyItem } = firmware;
  assert.equal(
    (await load(FOUNDER, { firmware: { ...onlyItem, smbios: undefined } })).code,
    "usage/founding-token-other",
  );
  wipeFirmwareData(firmware);
  for (const content of [firmware.smbios, ...firmware.fwCfg.values()]) {
    assert.ok(content instanceof Uint8Array && content.every((byte) => byte === 0));
  }
  wipeFirmwareData({ smbios: new BootstrapError("system/file", "It cannot be read"), fwCfg: new Map() });
});

Deno.test("readFirmwareData() reads the token's item of fw_cfg too", async () => {
  const root = await Deno.makeTempDir();
  try {
    const folder = join(root, "sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials", TOKEN_CREDENTIAL);
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(folder, "raw"), TOKEN);
    assert.equal((await load(FOUNDER, { firmware: await readFirmwareData(root) })).key, hex(spki));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
