import { requiredNames, tpmOf } from "../testing/sections.ts";
import assert from "node:assert/strict";
import { FRESH, NO_IDENTITY } from "../evidence.ts";
import { hex } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { NO_COLLATERAL } from "../collateral.ts";
import { checkNodeName, readPolicy, refusedRegisters, roleOf, standingOf } from "./policy.ts";
import { createVerifier } from "./policy_verifier.ts";

const a = "a".repeat(64);
const b = "b".repeat(64);
const valid = `
version: 1
variant: tpm
tpm:
  ekType: rsa2048
  pcrs:
    4: ["${a}", "${b.toUpperCase()}"]
    "11": ["${a}"]
  trust:
    identities: ["${a}", "${b}"]
roles:
  controlPlanes: ["${a.toUpperCase()}"]
`;

function failureOf(text: string): BootstrapError {
  try {
    readPolicy(text, "the policy");
  } catch (error) {
    assert.ok(error instanceof BootstrapError);
    assert.equal(error.code, "usage/document");
    return error;
  }
  throw new assert.AssertionError({ message: `accepted: ${text}` });
}

function refuses(from: string | RegExp, to: string, key: string, message: RegExp): void {
  const text = valid.replace(from, to);
  assert.notEqual(text, valid);
  const error = failureOf(text);
  assert.match(error.message, message);
  assert.equal(error.details["key"], key);
}

const example = new URL("../../deploy/policy.example.yaml", import.meta.url);

Deno.test("readPolicy() reads the example policy, and each part has the meaning in its comments", async () => {
  const text = await Deno.readTextFile(example);
  const policy = readPolicy(text, "the example");
  assert.deepEqual([...tpmOf(policy).pcrs.keys()], [4, 11]);
  assert.equal(tpmOf(policy).pcrs.get(11)?.length, 2);
  assert.equal(tpmOf(policy).trust.identities.size, 1);
  assert.deepEqual(tpmOf(policy).trust.issuers[0]?.attributes, [{ oid: "2.5.4.10", value: "Example" }, {
    oid: "2.5.4.11",
    value: "production",
  }]);
  assert.equal(policy.controlPlanes.size, 1);
  assert.equal(policy.maximumClockSkewMs, 300_000);
});

Deno.test("readPolicy() reads values in upper and lower case, and fills in defaults", () => {
  const policy = readPolicy(valid, "the policy");
  assert.deepEqual(tpmOf(policy).pcrs.get(4)?.map(hex), [a, b]);
  assert.equal(tpmOf(policy).ekType, "rsa2048");
  assert.equal(policy.maximumClockSkewMs, 300_000);
  assert.equal(createVerifier(policy, "node", NO_COLLATERAL, () => new Date()).variant, "tpm");
  const none = readPolicy("version: 1\nvariant: none\nmaximumClockSkewSeconds: 7\n", "the policy");
  assert.deepEqual([requiredNames(none).node, none.maximumClockSkewMs], [["none"], 7000]);
  assert.equal(createVerifier(none, "init", NO_COLLATERAL, () => new Date()).variant, "none");
});

Deno.test("roleOf() returns worker for every identity that the policy does not name", () => {
  const policy = readPolicy(valid, "the policy");
  assert.equal(roleOf(policy, a), "control-plane");
  assert.equal(roleOf(policy, b), "worker");
  assert.equal(roleOf(readPolicy("version: 1\nvariant: none", "the policy"), a), "worker");
});

Deno.test("readPolicy() refuses invalid policies, and names the path of the key", () => {
  refuses("variant: tpm", "variant: none", "tpm", /for the variant tpm/);
  refuses(/^tpm:[^]*roles/m, "roles", "tpm", /is required for the variant tpm/);
  refuses(/^tpm:[^]*roles/m, "roles", "tpm", /the policy/);
  refuses("variant: tpm", "variant: sgx", "variant", /variant/);
  refuses("variant: tpm", "variant: []", "variant", /must not be empty/);
  refuses("variant: tpm", "variant: [tpm, tpm]", "variant", /each kind once/);
  refuses("variant: tpm", "variant: [tpm, none]", "variant", /none alone/);
  refuses("variant: tpm", "variant: { node: tpm, init: none }", "variant", /for both kinds of peers/);
  refuses("variant: tpm", "variant: { node: tpm }", "variant", /one of these for node and one for init/);
  refuses("variant: tpm", "variant: [tpm, snp]", "snp", /is required for the variant snp/);
  refuses("version: 1", "version: 1\ncollateral: { cache: 'http://example.com' }", "collateral.cache", /https:/);
  refuses("version: 1", "version: 1\ncollateral: { folder: relative }", "collateral.folder", /absolute/);
  refuses("version: 1", "version: 1\nnames: { default: [] }", "names.default", /must not be empty/);
  refuses("version: 1", "version: 1\nnames: { default: ['A b'] }", "names.default[0]", /node name/);
  refuses(/ {2}trust:[^]*roles/, "roles", "tpm.trust", /tpm\.trust is missing/);
  refuses(/identities: .*\n/, "{}\n", "tpm.trust", /must have identities or issuers/);
  refuses(/identities: .*\n/, "identities: []\n", "tpm.trust.identities", /must not be empty/);
  refuses(/identities: .*\n/, "issuers: []\n", "tpm.trust.issuers", /must not be empty/);
  refuses(
    /identities: .*\n/,
    `identities: [${"0".repeat(64)}]\n`,
    "tpm.trust.identities[0]",
    /a number; write it in quotes/,
  );
  refuses(`"11": ["${a}"]`, '"11": []', 'tpm.pcrs["11"]', /at least one allowed value/);
  refuses(`"11": ["${a}"]`, `"11": "${a}"`, 'tpm.pcrs["11"]', /expected a list/);
  refuses(`"11": ["${a}"]`, `"11": ["${a}00"]`, 'tpm.pcrs["11"][0]', /64 hexadecimal digits/);
  refuses(`"11": ["${a}"]`, `"11": ["${a.replace("a", "g")}"]`, 'tpm.pcrs["11"][0]', /64 hexadecimal digits/);
  refuses(/pcrs:\n[^]*trust/, "pcrs: {}\n  trust", "tpm.pcrs", /at least one PCR/);
  refuses(`"11"`, '"12"', 'tpm.pcrs["12"]', /always checked by the protocol itself/);
  refuses(`"11"`, '"15"', 'tpm.pcrs["15"]', /always checked by the protocol itself/);
  refuses(`"11"`, '"16"', 'tpm.pcrs["16"]', /0 to 15/);
  refuses(`"11"`, '"011"', 'tpm.pcrs["011"]', /number of a PCR/);
  refuses(`"11"`, '"4"', "", /Map keys must be unique/);
  refuses("rsa2048", "rsa4096", "tpm.ekType", /"rsa4096" is none of rsa2048/);
  refuses("ekType", "ektype", "tpm.ekType", /tpm\.ektype is no key here; the nearest valid one is "ekType"/);
  refuses("controlPlanes", "controlPlane", "roles.controlPlane", /nearest valid one is "controlPlanes"/);
  refuses(
    /controlPlanes: .*/,
    `controlPlanes: ["${"c".repeat(64)}"]`,
    "roles",
    /a control plane that tpm\.trust does not trust/,
  );
  refuses("version: 1", "version: 2", "version", /expected 1, seen 2/);
  refuses("version: 1", "maximumClockSkewSeconds: 0\nversion: 1", "maximumClockSkewSeconds", /1 or more/);
  refuses("version: 1", "maximumClockSkewSeconds: 1.5\nversion: 1", "maximumClockSkewSeconds", /must be whole/);
  const insecure = failureOf(`version: 1\nvariant: none\nroles: {controlPlanes: ["${a}"]}`);
  assert.match(insecure.message, /no controlPlanes under the variant none/);
});

Deno.test("standingOf() knows the identities that a policy lists by its meaning, and never by its text", () => {
  const [banned, removed, pinned, commented] = ["c", "d", "e", "f"].map((digit) => digit.repeat(64));
  const text = `${valid}
bannedIdentities: ["${banned}"]
removed: ["${removed}", "${b}"]
# ${commented}
names:
  byIdentity: { "${pinned}": ["worker-1"] }
`;
  const withIssuers = readPolicy(text, "the policy");
  const tpm = tpmOf(withIssuers);
  // Authorities beside the list make it no complete one, but what it lists is named all the same.
  const policy = { ...withIssuers, sections: new Map([["tpm", { ...tpm, trust: { ...tpm.trust, issuers: [{}] } }]]) };
  const standing = [a, b, banned, removed, pinned, commented].map((one) => standingOf(policy, one ?? ""));
  assert.deepEqual(standing, ["named", "banned", "banned", "banned", "named", undefined]);
  // This value of a PCR is no identity.
  const pcr = "9".repeat(64);
  assert.equal(
    standingOf(readPolicy(valid.replace(`"11": ["${a}"]`, `"11": ["${pcr}"]`), "the policy"), pcr),
    undefined,
  );
});

Deno.test("readPolicy() refuses issuers that are no authorities, or that do not identify the machine", async () => {
  const text = await Deno.readTextFile(example);
  const cases: readonly [string | RegExp, string, RegExp][] = [
    [/ {10}O: Example\n {10}OU: production\n/, "          {}\n", /at least one attribute/],
    ["OU: production", "OU: 7", /issuers\[0\]\.attributes\.OU: expected string, seen 7, a number/],
    ["OU: production", 'OU: ""', /must not be empty/],
    ["OU: production", "UID: production", /must be an OID or one of CN/],
    ["OU: production", "__proto__: production", /__proto__ is no key anywhere/],
    ["-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", /its two labels differ/],
    [/MII[^\n]*\n/, "\n", /certificate: Cannot read "certificate"/],
    ["MIIB", "MIIC", /certificate: Cannot read "certificate"/],
  ];
  for (const [from, to, message] of cases) {
    const changed = text.replace(from, to);
    assert.notEqual(changed, text);
    assert.match(failureOf(changed).message, message);
  }
});

Deno.test("readPolicy() reads the examples for confidential VMs, and each has a verifier of all its kinds", async () => {
  for (const [name, node] of [["snp", "tpm+snp"], ["tdx", "tdx"]] as const) {
    const text = await Deno.readTextFile(new URL(`../../deploy/policy-${name}.example.yaml`, import.meta.url));
    const policy = readPolicy(text, name);
    assert.equal(createVerifier(policy, "node", NO_COLLATERAL, () => new Date()).variant, node);
    assert.equal(createVerifier(policy, "init", NO_COLLATERAL, () => new Date()).variant, node);
    assert.equal(policy.collateral.folder, "/etc/bootstrapper/collateral");
  }
});

Deno.test("checkNodeName() uses the identity's own patterns, and otherwise the default ones", () => {
  const text = `${valid}names: { default: ["worker-*"], byIdentity: { ${a}: ["cp-?", "first"] } }\n`;
  const policy = readPolicy(text, "the policy");
  const allows = (identity: string, name: string) => {
    try {
      checkNodeName(policy, identity, name);
      return true;
    } catch (error) {
      assert.ok(error instanceof BootstrapError);
      assert.deepEqual([error.code, error.details["seen"]], ["refused/node-name", name]);
      return false;
    }
  };
  for (const name of ["worker-", "worker-1", "worker-a-b"]) assert.ok(allows(b, name), name);
  for (const name of ["worker", "a-worker-1", "cp-1"]) assert.ok(!allows(b, name), name);
  for (const name of ["cp-1", "first"]) assert.ok(allows(a, name), name);
  for (const name of ["cp-", "cp-12", "firsts", "worker-1"]) assert.ok(!allows(a, name), name);
  checkNodeName(readPolicy(valid, "the policy"), b, "anything");
});

Deno.test("checkNodeName() ends quickly for patterns with many stars", () => {
  const stars = `${"*a".repeat(31)}b`;
  const policy = readPolicy(`${valid}names: { default: ["${stars}"] }\n`, "the policy");
  assert.throws(() => checkNodeName(policy, b, "a".repeat(63)), { code: "refused/node-name" });
});

Deno.test("createVerifier() refuses identities that are banned", async () => {
  const policy = readPolicy(`version: 1\nvariant: none\nbannedIdentities: ["${a}"]\n`, "the policy");
  const verifier = createVerifier(policy, "node", NO_COLLATERAL, () => new Date());
  const verify = (byte: number) =>
    verifier.verify(
      { variant: "none", payload: new Uint8Array(32).fill(byte) },
      new Uint8Array(32),
      { trust: [new Uint8Array(32)], lock: [FRESH], identity: NO_IDENTITY },
    );
  assert.equal((await verify(0xbb)).claims.identity, b);
  await assert.rejects(verify(0xaa), { code: "refused/identity-banned" });
});

Deno.test("refusedRegisters() names the registers on a record whose values no policy of any kind allows any more", () => {
  const tpm = readPolicy(valid, "the policy");
  assert.deepEqual(refusedRegisters(tpm, { pcr4: b, pcr11: a, pcr7: b, pcr12: b }), []);
  assert.deepEqual(refusedRegisters(tpm, { pcr4: b, pcr11: b }), ["pcr11"]);
  // A record of a policy that asked for fewer registers.
  assert.deepEqual(refusedRegisters(tpm, { pcr11: b }), ["pcr11"]);
  assert.deepEqual(refusedRegisters(readPolicy("{version: 1, variant: none}", "the policy"), { pcr4: a }), []);
});
