import assert from "node:assert/strict";
import fc from "fast-check";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, fromHex, hex } from "../../../platform/bytes.ts";
import type { Collateral } from "../../collateral.ts";
import { collateralAtHand, CollateralWanted } from "../../collateral_wanted.ts";
import type { EvidenceCheck, Expectation } from "../../evidence.ts";
import { FRESH } from "../../evidence.ts";
import { readPolicy } from "../../policy/policy.ts";
import { errorOf } from "../../testing/evidence.ts";
import { snpOf } from "../../testing/sections.ts";
import type { SnpPolicy } from "./policy.ts";
import {
  chipIdOf,
  collateralOf,
  createSoftwareAmd,
  der,
  extension,
  HOST_DATA,
  hours,
  type Lies,
  MILAN_TCB,
  NOW,
  policyFor,
  type SoftwareAmd,
  STATEMENT,
  TURIN_TCB,
} from "./testing/snp.ts";
import { createSnpVerifier } from "./verifier.ts";

const zero = new Uint8Array(32);
const expectation: Expectation = { trust: [HOST_DATA], lock: [FRESH], identity: "1d".repeat(32) };
const amd = await createSoftwareAmd();
const other = await createSoftwareAmd();
const collateral = await amd.collateral();

function verifierFor(
  from: SoftwareAmd = amd,
  policy: SnpPolicy = policyFor(),
  where: Collateral = collateral,
  now = NOW,
) {
  return createSnpVerifier(policy, where, () => now, from.anchors);
}

async function codeOf(lies: Lies, policy?: SnpPolicy, where?: Collateral, now?: Date): Promise<string> {
  const evidence = await amd.evidence(lies);
  const error = await errorOf(() => verifierFor(amd, policy, where, now).verify(evidence, STATEMENT, expectation));
  if (error.code.startsWith("refused/")) {
    assert.ok(error.details["check"] && error.details["expected"] !== undefined && error.details["seen"], error.code);
  }
  return error.code;
}

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

Deno.test("createSnpVerifier() wants a certificate only for a report that passes what needs none", async () => {
  const files: Record<string, Uint8Array> = {};
  const wanted: string[] = [];
  const lists = await amd.collateral();
  const atHand = collateralAtHand({
    ...collateralOf(files),
    find: async (name) => (wanted.push(name), (await lists.find(name)) ?? await collateralOf(files).find(name)),
    recall: (name) =>
      files[name] === undefined ? undefined : { file: { bytes: new Uint8Array(files[name]), source: name } },
  });
  const without = { vekDer: new Uint8Array() };
  const forged = {
    "refused/snp-measurement": { 0x90: new Uint8Array(48) },
    "refused/snp-report-data": { 0x50: new Uint8Array(64) },
    "refused/snp-host-data": { 0xc0: new Uint8Array(32) },
    "refused/snp-vmpl": { 0x30: Uint8Array.of(1) },
  };
  for (const [code, report] of Object.entries(forged)) {
    assert.equal(await codeOf({ ...without, report }, undefined, atHand), code);
  }
  const banned = { ...policyFor(), bannedChipIds: new Set([hex(chipIdOf("milan"))]) };
  assert.equal(await codeOf(without, banned, atHand), "refused/snp-banned-chip-id");
  const verdict = await errorOf(async () =>
    verifierFor(amd, policyFor(), atHand).verify(await amd.evidence(without), STATEMENT, expectation)
  );
  assert.ok(verdict instanceof CollateralWanted);
  const [document] = verdict.documents;
  files[document?.name ?? ""] = await amd.vek();
  const next = await errorOf(async () =>
    verifierFor(amd, policyFor(), atHand).verify(await amd.evidence(without), STATEMENT, expectation)
  );
  assert.ok(next instanceof CollateralWanted);
  assert.deepEqual(next.documents.map(({ name }) => name), ["amd-milan-vcek.crl"]);
  files["amd-milan-vcek.crl"] = await amd.crl();
  await verifierFor(amd, policyFor(), atHand).verify(await amd.evidence(without), STATEMENT, expectation);
  assert.deepEqual(wanted, []);
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

const tcb = (index: number, value: number) => MILAN_TCB.with(index, value);
const integer = (value: number) => der(0x02, Uint8Array.of(value));
const octets = (value: Uint8Array) => der(0x04, value);

/** A wrong part of the evidence, the lies that make it, and the code of the refusal. */
const REFUSED: readonly [what: string, lies: Lies, code: string][] = [
  ["report data of another connection", { report: { 0x50: zero } }, "refused/snp-report-data"],
  [
    "report data with bytes after the statement",
    { report: { 0x8f: Uint8Array.of(1) } },
    "refused/snp-report-data",
  ],
  ["no report data at all", { report: { 0x50: new Uint8Array(64) } }, "refused/snp-report-data"],
  ["HOST_DATA of another configuration", { report: { 0xc0: zero } }, "refused/snp-host-data"],
  ["another measurement", { report: { 0x90: new Uint8Array(48) } }, "refused/snp-measurement"],
  ["VMPL 1", { report: { 0x30: Uint8Array.of(1) } }, "refused/snp-vmpl"],
  ["debugging", { report: { 0x08: Uint8Array.of(0, 0, 0x0b) } }, "refused/snp-debug"],
  ["migration allowed", { report: { 0x08: Uint8Array.of(0, 0, 0x07) } }, "refused/snp-migration-agent"],
  ["a migration agent", { report: { 0x160: zero } }, "refused/snp-migration-agent"],
  ["a forbidden bit of the guest policy", { report: { 0x08: Uint8Array.of(0, 0, 0x23) } }, "refused/snp-guest-policy"],
  ["a missing bit of the platform", { report: { 0x40: Uint8Array.of(1) } }, "refused/snp-platform-info"],
  ["a forbidden bit of the platform", { report: { 0x40: Uint8Array.of(0xa1) } }, "refused/snp-platform-info"],
  ["no signing key", { report: { 0x48: Uint8Array.of(0x1c) } }, "refused/snp-signing-key"],
  ["a signing key that is not allowed", { report: { 0x48: Uint8Array.of(4) } }, "refused/snp-signing-key"],
  ["another signature algorithm", { report: { 0x34: Uint8Array.of(2) } }, "refused/snp-signature-algorithm"],
  ["another chip than its key", { report: { 0x1a0: new Uint8Array(64).fill(1) } }, "refused/snp-hardware-id"],
  ["a masked chip", { report: { 0x1a0: new Uint8Array(64) } }, "refused/snp-hardware-id"],
  ["a reported TCB that is not its key's", { report: { 0x180: tcb(7, 116) } }, "refused/snp-certificate-tcb"],
  ["a key of a newer TCB than runs", { report: { 0x38: tcb(6, 7), 0x1e0: tcb(6, 7) } }, "refused/snp-current-tcb"],
  ["a committed TCB newer than runs", { report: { 0x1e0: tcb(1, 1) } }, "refused/snp-committed-tcb"],
  ["a lagging TCB", { report: { 0x38: tcb(7, 206) } }, "refused/snp-lagging-tcb"],
  ["a launch by older firmware", { report: { 0x1f0: tcb(0, 2) } }, "refused/snp-launch-tcb"],
  ["a part of a TCB without a name, which lags", { report: { 0x38: tcb(3, 1) } }, "refused/snp-lagging-tcb"],
  ["version 1", { report: { 0x00: Uint8Array.of(1) } }, "malformed/snp-report"],
  ["version 6", { report: { 0x00: Uint8Array.of(6) } }, "refused/snp-report-version"],
  ["old firmware", {
    report: { 0x38: tcb(6, 7), 0x180: tcb(6, 7), 0x1e0: tcb(6, 7), 0x1f0: tcb(6, 8) },
    vek: { extensions: { "0303": integer(7) } },
  }, "refused/snp-minimum-tcb"],
  ["a certificate signed by the ASVK", { vek: { signer: "asvk" } }, "refused/snp-certificate-issuer"],
  ["a certificate signed by the ARK", { vek: { signer: "ark" } }, "refused/snp-certificate-issuer"],
  ["a certificate signed by itself", { vek: { signer: "self" } }, "refused/snp-certificate-signature"],
  ["a certificate that is not valid yet", { vek: { notBefore: hours(1) } }, "refused/snp-certificate-validity"],
  ["a certificate of a VLEK's name", { vek: { commonName: "SEV-VLEK" } }, "refused/snp-certificate-subject"],
  ["a certificate of an RSA key", { vek: { spki: amd.anchors[0]?.ark.spki ?? zero } }, "refused/snp-certificate-key"],
  [
    "a certificate of a CA",
    { vek: { more: [extension("551d13", fromHex("30030101ff", "ca"), true)] } },
    "refused/snp-certificate-constraints",
  ],
  [
    "a certificate with an unknown critical extension",
    { vek: { more: [extension("2a03", octets(zero), true)] } },
    "refused/snp-critical-extension",
  ],
  [
    "a certificate with an extension twice",
    { vek: { more: [extension("2b060104019c78010308", integer(115))] } },
    "malformed/der",
  ],
  [
    "a certificate of another processor",
    { vek: { extensions: { "02": der(0x16, fromHex("47656e6f61", "Genoa")) } } },
    "refused/snp-certificate-product",
  ],
  ["a certificate without a chip", { vek: { extensions: { "04": undefined } } }, "malformed/der"],
  [
    "a certificate with a chip and a cloud",
    { vek: { extensions: { "05": der(0x16, Uint8Array.of(0x61)) } } },
    "malformed/der",
  ],
  ["a certificate without its SNP version", { vek: { extensions: { "0303": undefined } } }, "malformed/der"],
  ["a certificate with an FMC of Milan", { vek: { extensions: { "0309": integer(1) } } }, "malformed/der"],
  [
    "a certificate of a part without a name that does not run",
    { vek: { extensions: { "0305": integer(1) } } },
    "refused/snp-certificate-tcb",
  ],
  [
    "another authority's certificate",
    { authority: other.anchors[0]?.authorities.vcek.der ?? zero },
    "refused/snp-certificate-signature",
  ],
  ["the root for the authority", { authority: amd.anchors[0]?.ark.der ?? zero }, "refused/snp-authority-subject"],
  [
    "the authority of clouds for that of chips",
    { authority: amd.anchors[0]?.authorities.vlek.der ?? zero },
    "refused/snp-authority-subject",
  ],
];

for (const [what, lies, code] of REFUSED) {
  Deno.test(`createSnpVerifier() refuses ${what}`, async () => assert.equal(await codeOf(lies), code));
}

/** The part of good evidence that a changed policy does not allow, the change, and the code of the refusal. */
const UNWANTED: readonly [what: string, policy: Partial<SnpPolicy>, code: string][] = [
  ["a line of processors", { products: policyFor("turin").products }, "refused/snp-product"],
  ["a kind of signing key", { signingKeys: ["vlek"] }, "refused/snp-signing-key"],
  ["any measurement", { measurements: [] }, "refused/snp-measurement"],
  ["a machine without an ID key", { idKeys: [new Uint8Array(48).fill(1)] }, "refused/snp-id-key"],
  ["a machine without an author key", { authorKeys: [new Uint8Array(48).fill(1)] }, "refused/snp-author-key"],
  ["a chip that it does not name", { chipIds: new Set(["00"]) }, "refused/snp-chip-id"],
  ["a chip that it bans", { bannedChipIds: new Set([hex(chipIdOf("milan"))]) }, "refused/snp-banned-chip-id"],
  [
    "a guest policy without a bit",
    { guestPolicy: { required: ["singleSocket"], forbidden: [] } },
    "refused/snp-guest-policy",
  ],
];

for (const [what, changes, code] of UNWANTED) {
  Deno.test(`createSnpVerifier() refuses ${what} when the policy does not allow it`, async () => {
    assert.equal(await codeOf({}, { ...policyFor(), ...changes }), code);
  });
}

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
  const report = { 0x38: tcb(7, 206), 0xe0: idKey, 0x110: authorKey, 0x48: Uint8Array.of(1) };
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

Deno.test("createSnpVerifier() uses the authority and the revocation list of the evidence", async () => {
  const authority = amd.anchors[0]?.authorities.vcek.der;
  assert.ok(authority !== undefined);
  const evidence = await amd.evidence({ authority, crl: await amd.crl() });
  await verifierFor(amd, policyFor(), collateralOf({})).verify(evidence, STATEMENT, expectation);
});

Deno.test("createSnpVerifier() finds the certificate for chip and TCB in its own collateral", async () => {
  const name = `amd-vcek-${hex(chipIdOf("milan"))}-${hex(MILAN_TCB)}.der`;
  const files = { [name]: await amd.vek(), "amd-milan-vcek.crl": await amd.crl() };
  const evidence = await amd.evidence({ vekDer: new Uint8Array() });
  await verifierFor(amd, policyFor(), collateralOf(files)).verify(evidence, STATEMENT, expectation);
  const error = await errorOf(() => verifierFor().verify(evidence, STATEMENT, expectation));
  assert.equal(error.code, "refused/snp-collateral");
  assert.equal(error.details["expected"], name);
});

const FILE = "amd-milan-vcek.crl";
/** A wrong revocation list of this side, and the code of the refusal. */
const LISTS: readonly [what: string, list: () => Promise<Bytes | undefined>, code: string][] = [
  ["is missing", () => Promise.resolve(undefined), "refused/snp-collateral"],
  ["is stale", () => amd.crl({ nextUpdate: hours(-0.5) }), "refused/snp-crl-validity"],
  ["is of the future", () => amd.crl({ thisUpdate: hours(0.5) }), "refused/snp-crl-validity"],
  [
    "revokes the authority",
    () => amd.crl({ revoked: [Uint8Array.of(9), Uint8Array.of(2)] }),
    "refused/snp-certificate-revoked",
  ],
  ["revokes the root", () => amd.crl({ revoked: [Uint8Array.of(1)] }), "refused/snp-certificate-revoked"],
  ["is signed by the authority", () => amd.crl({ signer: "ask" }), "refused/snp-crl-signature"],
  ["is of another root of the same name", () => other.crl(), "refused/snp-crl-signature"],
  ["is of another issuer", () => amd.crl({ issuer: der(0x30) }), "refused/snp-crl-issuer"],
  ["is cut off", async () => (await amd.crl()).slice(0, -1), "malformed/der"],
];

for (const [what, list, code] of LISTS) {
  Deno.test(`createSnpVerifier() refuses evidence when the revocation list ${what}, and names it`, async () => {
    const bytes = await list();
    const where = collateralOf(bytes === undefined ? {} : { [FILE]: bytes });
    const evidence = await amd.evidence();
    const verdict = () => verifierFor(amd, policyFor(), where).verify(evidence, STATEMENT, expectation);
    const error = await errorOf(verdict);
    assert.equal(error.code, code);
    assert.match(error.message, /amd-milan-vcek\.crl/);
  });
}

Deno.test("createSnpVerifier() prefers its own revocation list to that of the evidence", async () => {
  const crl = await amd.crl();
  const where = collateralOf({ [FILE]: await amd.crl({ revoked: [Uint8Array.of(2)] }) });
  assert.equal(await codeOf({ crl }, policyFor(), where), "refused/snp-certificate-revoked");
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
