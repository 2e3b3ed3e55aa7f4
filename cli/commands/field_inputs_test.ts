/** Inputs that people met, with their right answers. The tests of each reader make inputs of the same kinds. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { readEventLog } from "../../attestation/eventlog/event_log.ts";
import { replay } from "../../attestation/eventlog/replay.ts";
import { replayLog } from "../../attestation/explain/replayed_log.ts";
import { checkEkTrust } from "../../attestation/kinds/tpm/ek_trust.ts";
import { readPolicy } from "../../attestation/policy/policy.ts";
import { writePem } from "../../certificate/pem.ts";
import { readCertificate } from "../../certificate/x509.ts";
import { fromHex, hex, sha256 } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { readNodeConfiguration } from "../../node/configuration.ts";
import { readOperatorKeyFile } from "../operator_key_file.ts";
import { TestWorld } from "../testing/command_line.ts";

const folder = fileURLToPath(new URL("../../../shared/field/attestation", import.meta.url));
const isThere = await Deno.stat(folder).then(({ isDirectory }) => isDirectory, () => false);
const bytesOf = (name: string) => Deno.readFile(`${folder}/${name}`);
const textOf = (name: string) => Deno.readTextFile(`${folder}/${name}`);

function fieldTest(name: string, run: () => Promise<void>): void {
  Deno.test({ name: isThere ? name : `${name} -- IGNORED: there is no ${folder}`, ignore: !isThere, fn: run });
}

/** The outcome of a task: its text, or its error with the advice. */
async function outcomeOf(task: () => unknown): Promise<string> {
  try {
    return String(await task());
  } catch (error) {
    assert.ok(error instanceof BootstrapError, String(error));
    return `${error.code}: ${error.message}. ${error.next}`;
  }
}

const PCR_7 = "c741603cb980c27740117edde181e2baee62c0f91a9e2f4c655e0a71eb587c45";
const PCR_0 = "5ef93299c431d8fee58b7b45c5679b17fac61e0fec55056b8d27eb6b419a33f3";
const LOGS: readonly (readonly [name: string, pcr0: string, behind: RegExp])[] = [
  ["hcrtm", "fc3ee5ac86d8f9a6c52e0e30630e274b19f3ab3d693aa017b6d4a038e7e2a2b2", /^$/],
  ["zeros-behind", PCR_0, /the 64 bytes behind/],
  ["ff-behind", PCR_0, /the 512 bytes behind/],
];
for (const [name, pcr0, behind] of LOGS) {
  fieldTest(`the event log ${name} is explained as far as it goes`, async () => {
    const log = readEventLog(await bytesOf(`eventlog/${name}.bin`));
    const values = replay(log, "sha256");
    assert.deepEqual([0, 7].map((pcr) => hex(values.get(pcr) ?? new Uint8Array())), [pcr0, PCR_7]);
    assert.match(log.behind, behind);
  });
}

fieldTest("an initial file system without systemd leaves out phases of boot", async () => {
  const quoted = fromHex("51dfc78d6782f150d434e1a8ded4501ebbd60bc4026ad227052108b4f68fcc9b", "PCR 11");
  const pcrs = Array.from({ length: 16 }, () => new Uint8Array(32)).with(11, quoted);
  const register = await replayLog(await bytesOf("eventlog/phases.bin"), pcrs).register(11);
  assert.equal(register.log, "replays");
  assert.match(register.events.map(({ description }) => description).join(), /"sysinit".*"ready"$/);
});

const READ = /^$/;
const UNREADABLE = /certificate cannot be read: .*by its identity/;
const REFUSED = /^refused\/ek-certificate-form: .*list its identity [0-9a-f]{64}/;
const CERTIFICATES: readonly (readonly [name: string, byIdentity: RegExp, byIssuer: RegExp, ca?: string])[] = [
  ["normal", READ, READ],
  ["octet_string_wrapped", READ, READ],
  ["tcg_header_5", READ, READ],
  ["no_key_usage", READ, READ],
  ["kubit14", READ, /./],
  ["serial_padded", UNREADABLE, REFUSED],
  ["teletex_subject", UNREADABLE, REFUSED],
  ["printable_with_underscore", UNREADABLE, REFUSED],
  ["version_1", UNREADABLE, REFUSED],
  ["bad_spdm_garbage", UNREADABLE, REFUSED],
  ["p521", READ, READ, "p521.ca"],
  ["rsa4096sha512", READ, READ, "rsa4096sha512.ca"],
];
for (const [name, byIdentity, byIssuer, ca = "ca"] of CERTIFICATES) {
  fieldTest(`the endorsement key's certificate ${name} is used, or does not matter`, async () => {
    const spki = await bytesOf("ek/ek.spki");
    const identity = hex(await sha256(spki));
    const key = { ekType: "rsa2048" as const, spki, identity, certificate: await bytesOf(`ek/${name}.der`) };
    const pem = (await textOf(`ek/${ca}.pem`)).match(/-----BEGIN CERTIFICATE-----([^-]+)-----END/)?.[1] ?? "";
    const certificate = readCertificate(Uint8Array.fromBase64(pem.replaceAll(/\s/g, "")), "CA", "vendor");
    const attributes = [{ oid: "2.23.133.2.1", value: "id:45584100" }];
    const now = new Date("2027-01-01");
    const judged = (
      identities: readonly string[],
      issuers: readonly { certificate: typeof certificate; attributes: typeof attributes }[],
    ) => outcomeOf(() => checkEkTrust({ identities: new Set(identities), issuers }, key, now));
    assert.match(await judged([identity], []), byIdentity);
    assert.match(await judged([], [{ certificate, attributes }]), byIssuer);
  });
}

fieldTest("policies with authorities of rare kinds load, and accept the machine that they are for", async () => {
  await using world = await TestWorld.create();
  for (const name of ["kubit14", "p521"]) {
    const args = [`${folder}/ek/${name}.evidence.json`, "--policy", `${folder}/ek/${name}.policy.yaml`];
    assert.equal(await world.run("verify", ...args), 0, `${name}: ${world.err}`);
  }
  const pem = writePem(
    "CERTIFICATE",
    Uint8Array.fromBase64(
      (/-----BEGIN CERTIFICATE-----([^-]+)-----END/.exec(await textOf("ek/rsa4096sha512.ca.pem"))?.[1] ?? "")
        .replaceAll(/\s/g, ""),
    ),
  );
  const policy = await textOf("ek/p521.policy.yaml");
  const other = policy.replace(
    /-----BEGIN[^]*-----END CERTIFICATE-----/,
    pem.trimEnd().replaceAll("\n", "\n          "),
  );
  readPolicy(other, "it");
});

fieldTest("policy make takes machines whose certificates are odd, and is loud where nothing was measured", async () => {
  await using world = await TestWorld.create();
  for (const name of ["kubit14", "octet_string_wrapped", "p521"]) {
    assert.equal(await world.run("policy", "make", `${folder}/ek/${name}.evidence.json`), 0, world.err);
    readPolicy(world.out, name);
  }
  const zeros = `${folder}/policy/all-zero-registers.evidence.json`;
  assert.equal(await world.run("policy", "make", zeros), 0, world.err);
  assert.match(world.out, /^# NOT MEASURED: PCR 0 to 7 of .*all-zero.* are zero/m);
});

const POLICIES: readonly (readonly [name: string, message: RegExp])[] = [
  ["pcrs-as-list", /tpm\.pcrs: expected a mapping, seen a list/],
  ["unquoted-e", /tpm\.pcrs\["4"\]\[0\]: .*, a number; write it in quotes/],
  ["configmap", /this is a ConfigMap: give the text under data\["policy\.yaml"\]/],
];
for (const [name, message] of POLICIES) {
  fieldTest(`the policy ${name} is refused, and the message says why`, async () => {
    const text = await textOf(`policy/${name}.yaml`);
    const outcome = await outcomeOf(() => readPolicy(text, "it"));
    assert.match(outcome, message);
    assert.doesNotMatch(outcome, /Infinity/);
  });
}

const KEYS: readonly (readonly [name: string, outcome: RegExp])[] = [
  ["openssh", /^ed25519$/],
  ["pkcs8-one-line.pem", /^ed25519$/],
  ["encrypted-hmac-sha1.pem", /not encrypted with PBES2, AES-256-CBC/],
  ["rsa.pem", /operator's key must be Ed25519\. Make one with `bootstrapper keygen`/],
];
for (const [name, outcome] of KEYS) {
  fieldTest(`the private key ${name} is read, or the message says what helps`, async () => {
    const path = await Deno.makeTempFile();
    try {
      await Deno.writeFile(path, await bytesOf(`keys/${name}`), { mode: 0o600 });
      await Deno.chmod(path, 0o600);
      const terminal = {
        isTerminal: false,
        isErrorTerminal: false,
        hasColours: false,
        columns: 80,
        askSecret: () => Promise.resolve("passphrase"),
        confirm: () => Promise.resolve(true),
        ask: () => Promise.resolve(""),
        canAsk: false,
      };
      assert.match(
        await outcomeOf(async () => (await readOperatorKeyFile(path, undefined, terminal)).type),
        outcome,
      );
    } finally {
      await Deno.remove(path);
    }
  });
}

fieldTest("a public key's comment may be of any language", async () => {
  const { trust } = readNodeConfiguration(await textOf("keys/comment-utf8.node.yaml"), "it");
  assert.equal(trust.operatorKeys.length, 1);
});
