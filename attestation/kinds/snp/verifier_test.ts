import assert from "node:assert/strict";
import fc from "fast-check";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, hex } from "../../../platform/bytes.ts";
import type { EvidenceCheck, Expectation } from "../../evidence.ts";
import { FRESH } from "../../evidence.ts";
import { readPolicy } from "../../policy/policy.ts";
import { errorOf } from "../../testing/evidence.ts";
import { snpOf } from "../../testing/sections.ts";
import type { SnpPolicy } from "./policy.ts";
import {
  chipIdOf,
  createSoftwareAmd,
  der,
  type Lies,
  MILAN_TCB,
  NOW,
  policyFor,
  STATEMENT,
  TURIN_TCB,
} from "./testing/snp.ts";
import { createSnpVerifier } from "./verifier.ts";
import { amd, codeOf, collateral, expectation, other, verifierFor, zero } from "./testing/verifying.ts";

Deno.test("createSnpVerifier() returns the facts that good evidence proves", async () => {
  const { claims, challenge } = await verifierFor().verify(await amd.evidence(), STATEMENT, expectation);
  assert.equal(challenge, undefined);
  const { facts, ...rest } = claims;
  assert.deepEqual(rest, {
    variant: "snp",
    identity: "1d".repeat(32),
    fresh: true,
    showsNoLock: true,
    isEphemeral: true,
  });
  assert.equal(facts?.["chipId"], hex(chipIdOf("milan")));
  assert.equal(facts?.["reportedTcb"], "bootloader 3, tee 0, snp 8, microcode 115");
  assert.equal(facts?.["platformInfo"], "smt, aliasCheckComplete");
});

Deno.test("createSnpVerifier() reports each check to a listener, and continues after a refusal", async () => {
  const evidence = await amd.evidence({ report: { 0x30: Uint8Array.of(1), 0x90: new Uint8Array(48) } });
  const heard: EvidenceCheck[] = [];
  const verdict = verifierFor().verify(evidence, STATEMENT, expectation, (check) => heard.push(check));
  await assert.rejects(verdict, { code: "refused/snp-vmpl" });
  assert.deepEqual(heard.filter(({ passed }) => !passed).map(({ check }) => check), ["snp-vmpl", "snp-measurement"]);
  assert.equal(heard.at(-1)?.check, "snp-revocation");
});

for (const [product, kind] of [["turin", "vcek"], ["genoa", "vcek"], ["milan", "vlek"], ["turin", "vlek"]] as const) {
  Deno.test(`createSnpVerifier() accepts a ${kind} of ${product}`, async () => {
    const one = await createSoftwareAmd(product, kind);
    const verifier = verifierFor(one, policyFor(product, kind), await one.collateral());
    const model = { milan: 0x01, genoa: 0x11, turin: 0x02 }[product];
    for (const version of [2, 3, 4, 5]) {
      const processor = version < 3 ? {} : { 0x188: Uint8Array.of(product === "turin" ? 0x1a : 0x19, model, 1) };
      const report = { 0x00: Uint8Array.of(version), ...processor };
      const { claims } = await verifier.verify(await one.evidence({ report }), STATEMENT, expectation);
      assert.equal(claims.facts?.["product"], product);
    }
    const otherLine = { 0x00: Uint8Array.of(3), 0x188: Uint8Array.of(0x19, 0x21) };
    const error = await errorOf(async () =>
      verifier.verify(await one.evidence({ report: otherLine }), STATEMENT, expectation)
    );
    assert.equal(error.code, "refused/snp-processor");
  });
}

Deno.test("createSnpVerifier() takes a report for another exchange for nothing that the vendor says of the peer", async () => {
  const verifier = verifierFor();
  const vouched = async (report: Readonly<Record<number, Uint8Array>>) => {
    const passed: string[] = [];
    const evidence = await amd.evidence({ report: { 0x90: new Uint8Array(48), ...report } });
    await errorOf(() =>
      verifier.verify(evidence, STATEMENT, expectation, (one) => one.passed && passed.push(one.check))
    );
    return verifier.vendorChecks?.every((check) => passed.includes(check));
  };
  assert.deepEqual([await vouched({}), await vouched({ 0x50: zero })], [true, false]);
});

Deno.test("createSnpVerifier() accepts signed bits and bytes without a name, shows them, and refuses them by the policy", async () => {
  const turin = await createSoftwareAmd("turin");
  const at = await turin.collateral();
  const evidence = await turin.evidence({
    report: {
      0x00: Uint8Array.of(5),
      0x188: Uint8Array.of(0x1a, 0x02, 0x01),
      0x08: Uint8Array.of(0, 0, 3, 4),
      0x40: Uint8Array.of(0x65),
      0x208: Uint8Array.of(1),
    },
  });
  const verify = (changes: Partial<SnpPolicy> = {}) =>
    verifierFor(turin, { ...policyFor("turin"), ...changes }, at).verify(evidence, STATEMENT, expectation);
  const { claims: { facts, remarks } } = await verify();
  assert.match(remarks?.join() ?? "", /guest policy bit 26, platform info bit 6, byte 01 at 0x208.*no name/);
  assert.equal(facts?.["platformInfo"], "smt, ecc, aliasCheckComplete, bit 6");
  assert.equal(facts?.["guestPolicy"], "smt, bit 26");
  const bits = (rules: Partial<SnpPolicy["platformInfo"]>) => ({ required: [], forbidden: [], ...rules });
  const cases: readonly (readonly [Partial<SnpPolicy>, string])[] = [
    [{ platformInfo: bits({ forbidden: [6] }) }, "snp-platform-info"],
    [{ platformInfo: bits({ required: [9] }) }, "snp-platform-info"],
    [{ platformInfo: bits({ allowed: ["smt", "ecc", "aliasCheckComplete"] }) }, "snp-platform-info"],
    [{ guestPolicy: bits({ allowed: ["smt"] }) as SnpPolicy["guestPolicy"] }, "snp-guest-policy"],
    [{ requiresZeroReserved: true }, "snp-reserved"],
  ];
  for (const [changes, check] of cases) {
    assert.equal((await errorOf(() => verify(changes))).code, `refused/${check}`);
  }
  await verify({
    platformInfo: bits({ required: [6], allowed: ["smt", "ecc", "aliasCheckComplete"] }),
    guestPolicy: bits({ allowed: ["smt", 26] }) as SnpPolicy["guestPolicy"],
  });
});

Deno.test("createSnpVerifier() shows reserved bytes of each TCB, and refuses them where the policy wants zeros", async () => {
  const strange = Uint8Array.of(3, 0, 9, 0, 0, 0, 8, 115);
  const verify = (lies: Lies, changes: Partial<SnpPolicy>) =>
    amd.evidence(lies).then((evidence) =>
      verifierFor(amd, { ...policyFor("milan"), ...changes }, collateral).verify(evidence, STATEMENT, expectation)
    );
  const certified = { extensions: { "0304": der(0x02, Uint8Array.of(9)) } };
  const cases: readonly (readonly [string, Lies])[] = [
    ["launch", { report: { 0x1f0: strange } }],
    ["current", { report: { 0x38: strange } }],
    ["committed", { report: { 0x38: strange, 0x1e0: strange } }],
    ["reported", { report: { 0x38: strange, 0x180: strange }, vek: certified }],
  ];
  for (const [which, lies] of cases) {
    const { claims: { remarks } } = await verify(lies, { allowsLaggingTcb: true });
    assert.match(remarks?.join() ?? "", new RegExp(`byte 2 of the ${which} TCB 9.*no name`));
    const error = await errorOf(() => verify(lies, { allowsLaggingTcb: true, requiresZeroReserved: true }));
    assert.equal(error.code, "refused/snp-reserved");
    assert.match(String(error.details["seen"]), new RegExp(`byte 2 of the ${which} TCB 9`));
  }
  await verify({}, { requiresZeroReserved: true });
});

Deno.test("createSnpVerifier() says that the host masks the chip, wherever the chip matters", async () => {
  const masked = { report: { 0x1a0: new Uint8Array(64) } };
  const refused = async (changes: Partial<SnpPolicy>, by = amd, lies: Lies = masked) => {
    const verifier = verifierFor(by, { ...policyFor("milan", by === amd ? "vcek" : "vlek"), ...changes }, collateral);
    const evidence = await by.evidence(lies);
    const error = await errorOf(() => verifier.verify(evidence, STATEMENT, expectation));
    assert.match(error.message, /masks the chip's ID/);
    assert.match(error.next, /MASK_CHIP_ID off/);
    return error.code;
  };
  assert.equal(await refused({}), "refused/snp-hardware-id");
  assert.equal(await refused({}, amd, { ...masked, vekDer: new Uint8Array() }), "refused/snp-hardware-id");
  const cloud = await createSoftwareAmd("milan", "vlek");
  assert.equal(await refused({ chipIds: new Set(["00"]) }, cloud), "refused/snp-chip-id");
  assert.equal(await refused({ bannedChipIds: new Set(["00"]) }, cloud), "refused/snp-banned-chip-id");
});

Deno.test("readPolicy() reads rules for bits by name or number, one spelling each, and refuses contradictions", async () => {
  const text = await Deno.readTextFile(new URL("../../../deploy/policy-snp.example.yaml", import.meta.url));
  const withRules = (rules: string) =>
    snpOf(readPolicy(text.replace(/^ {2}platformInfo:\n(?: {4}.*\n)+/m, `  platformInfo: ${rules}\n`), "it"));
  assert.deepEqual(withRules("{ required: [5], allowed: [6, smt, 1] }").platformInfo, {
    required: ["aliasCheckComplete"],
    forbidden: [],
    allowed: [6, "smt", "tsme"],
  });
  for (
    const rules of [
      "{ required: [5], forbidden: [aliasCheckComplete] }",
      "{ allowed: [6], forbidden: [6] }",
      "{ allowed: [64] }",
      "{ forbidden: [1.5] }",
      "{ required: [mem] }",
    ]
  ) {
    assert.match((await errorOf(() => withRules(rules))).message, /snp\.platformInfo/, rules);
  }
  const nobody = () => readPolicy(text.replace(/forbidden: \[smt\]/, "required: [debug]"), "it");
  assert.match((await errorOf(nobody)).message, /snp\.guestPolicy: requires debug or migrationAgent/);
});

Deno.test("createSnpVerifier() accepts a lagging TCB, and keys, if the policy allows them", async () => {
  const [idKey, authorKey] = [new Uint8Array(48).fill(2), new Uint8Array(48).fill(3)];
  const report = { 0x38: MILAN_TCB.with(7, 206), 0xe0: idKey, 0x110: authorKey, 0x48: Uint8Array.of(1) };
  const policy = { ...policyFor(), allowsLaggingTcb: true, idKeys: [idKey], authorKeys: [authorKey] };
  await verifierFor(amd, policy).verify(await amd.evidence({ report }), STATEMENT, expectation);
  // Without an author key, the digest does not count.
  assert.equal(await codeOf({ report: { ...report, 0x48: Uint8Array.of(0) } }, policy), "refused/snp-author-key");
});

Deno.test("createSnpVerifier() refuses a VLEK of a cloud that the policy does not allow", async () => {
  const cloud = await createSoftwareAmd("milan", "vlek");
  const policy = { ...policyFor("milan", "vlek"), providers: ["another"] };
  const verifier = verifierFor(cloud, policy, await cloud.collateral());
  const error = await errorOf(async () => verifier.verify(await cloud.evidence(), STATEMENT, expectation));
  assert.equal(error.code, "refused/snp-provider");
});

Deno.test("createSnpVerifier() refuses the evidence of Turin with a TCB in the form of Milan", async () => {
  const turin = await createSoftwareAmd("turin");
  const verifier = verifierFor(turin, policyFor("turin"), await turin.collateral());
  const evidence = await turin.evidence({ report: { 0x180: MILAN_TCB } });
  assert.equal(
    (await errorOf(() => verifier.verify(evidence, STATEMENT, expectation))).code,
    "refused/snp-certificate-tcb",
  );
  const noFmc = await turin.evidence({ report: { 0x180: TURIN_TCB.with(0, 0) } });
  assert.equal(
    (await errorOf(() => verifier.verify(noFmc, STATEMENT, expectation))).code,
    "refused/snp-certificate-tcb",
  );
});

Deno.test("createSnpVerifier() refuses other variants, other roots, and a caller without an expectation", async () => {
  const evidence = await amd.evidence();
  const code = async (task: () => Promise<unknown>) => (await errorOf(task)).code;
  const verifier = verifierFor();
  assert.equal(
    await code(() => verifier.verify({ ...evidence, variant: "tpm" }, STATEMENT, expectation)),
    "refused/variant",
  );
  assert.equal(
    await code(() => verifierFor(other).verify(evidence, STATEMENT, expectation)),
    "refused/snp-certificate-signature",
  );
  const real = createSnpVerifier(policyFor(), collateral, () => NOW);
  assert.equal(await code(() => real.verify(evidence, STATEMENT, expectation)), "refused/snp-certificate-signature");
  const expectations: readonly [Bytes, Expectation][] = [
    [new Uint8Array(), expectation],
    [new Uint8Array(64), expectation],
    [STATEMENT, { ...expectation, trust: [] }],
    [STATEMENT, { ...expectation, trust: [new Uint8Array(0)] }],
    [STATEMENT, { ...expectation, lock: [] }],
    [STATEMENT, { ...expectation, lock: [FRESH, new Uint8Array(31)] }],
    [STATEMENT, { ...expectation, identity: "" }],
  ];
  for (const [statement, expected] of expectations) {
    assert.equal(await code(() => verifier.verify(evidence, statement, expected)), "internal/expectation");
  }
});

Deno.test("createSnpVerifier() refuses evidence that is cut off, has trailing bytes, or is not evidence", async () => {
  const { payload } = await amd.evidence();
  const verifier = verifierFor();
  const codeOfBytes = async (bytes: Uint8Array) =>
    (await errorOf(() => verifier.verify({ variant: "snp", payload: bytes }, STATEMENT, expectation))).code;
  for (let length = 0; length < payload.length; length++) {
    assert.match(await codeOfBytes(payload.subarray(0, length)), /^malformed\//);
  }
  assert.equal(await codeOfBytes(concat(payload, Uint8Array.of(0))), "malformed/snp");
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), async (bytes) => {
    assert.match(await codeOfBytes(bytes), /^malformed\//);
  }));
});
