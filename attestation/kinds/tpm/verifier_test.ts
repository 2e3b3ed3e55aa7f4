import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, equalBytes, fromHex, hex, randomBytes } from "../../../platform/bytes.ts";
import type { Evidence, EvidenceCheck, Expectation } from "../../evidence.ts";
import { FRESH } from "../../evidence.ts";
import { extendedOnce } from "../../../protocol/transcript.ts";
import { createSoftwareMachine, filled, type Lies, type SoftwareMachine } from "./testing/tpm.ts";
import { errorOf, flipped } from "../../testing/evidence.ts";
import { encodePcrSelection } from "./pcr_selection.ts";
import { ATTESTATION_KEY_TEMPLATE, EK_PROFILES, EK_TYPES } from "./templates.ts";
import type { TpmPolicy } from "./policy.ts";
import { createTpmVerifier } from "./verifier.ts";

const statement = randomBytes(32);
const zero = new Uint8Array(32);
const D12 = filled(0x12);
const D15 = filled(0x15);
const [trustValue, locked] = [await extendedOnce(D12), await extendedOnce(D15)];
const image = filled(0x11);
const pcrs = Array.from({ length: 16 }, (_, index) => ({ 11: image, 12: trustValue }[index] ?? zero));
const expectation: Expectation = { trust: [filled(0xaa), D12], lock: [FRESH], identity: "1d".repeat(32) };
const now = () => new Date("2030-01-01");

function policyFor(machine: SoftwareMachine, more: Partial<TpmPolicy> = {}): TpmPolicy {
  return {
    ekType: "rsa2048",
    pcrs: new Map([[11, [filled(1), image]]]),
    trust: { identities: new Set([machine.identity]), issuers: [] },
    ...more,
  };
}

async function refusalOf(machine: SoftwareMachine, lies: Lies, values = pcrs, expected = expectation): Promise<string> {
  const evidence = await machine.issue(statement, values, lies);
  const error = await errorOf(() => createTpmVerifier(policyFor(machine), now).verify(evidence, statement, expected));
  if (error.code.startsWith("refused/")) {
    assert.equal(error.code, `refused/${error.details["check"]}`);
    assert.ok(error.details["expected"] !== undefined && error.details["seen"] !== undefined);
    assert.notEqual(error.details["expected"], error.details["seen"]);
  }
  return error.code;
}

const machine = await createSoftwareMachine();

for (const ekType of EK_TYPES) {
  Deno.test(`createTpmVerifier() accepts a true machine and its challenge can be answered when its EK is ${ekType}`, async () => {
    const own = await createSoftwareMachine(ekType);
    const evidence = await own.issue(statement, pcrs);
    const { claims, challenge } = await createTpmVerifier(policyFor(own, { ekType }), now).verify(
      evidence,
      statement,
      expectation,
    );
    const { facts, ...rest } = claims;
    assert.deepEqual(rest, { variant: "tpm", identity: own.identity, fresh: true, resetCount: 3, restartCount: 1 });
    assert.deepEqual(facts, Object.fromEntries(pcrs.map((value, index) => [`pcr${index}`, hex(value)])));
    assert.ok(challenge !== undefined);
    assert.ok(equalBytes(await own.activate(challenge.message), challenge.secret));
  });
}

Deno.test("createTpmVerifier() says that a machine is not fresh when PCR 15 shows a lock", async () => {
  const evidence = await machine.issue(statement, pcrs.with(15, locked));
  const expected = { ...expectation, lock: [D15] };
  const { claims } = await createTpmVerifier(policyFor(machine), now).verify(evidence, statement, expected);
  assert.equal(claims.fresh, false);
});

Deno.test("createTpmVerifier() refuses evidence when a part of the quote is wrong", async () => {
  const template = (attributes: string) => fromHex(hex(ATTESTATION_KEY_TEMPLATE).replace("00050472", attributes), "");
  const cases: readonly [string, Lies][] = [
    ["refused/ak-attributes", { attestationTemplate: template("00040472") }], // not restricted
    ["refused/ak-attributes", { attestationTemplate: template("00010472") }], // does not sign
    ["refused/ak-attributes", { attestationTemplate: template("00050470") }], // not fixedTPM
    ["refused/ak-attributes", { attestationTemplate: template("00050462") }], // not fixedParent
    ["refused/ak-attributes", { attestationTemplate: template("00050452") }], // imported
    ["refused/ak-attributes", { attestationTemplate: template("00070472") }], // decrypts too
    ["refused/ak-template", { attestationTemplate: template("00050432") }],
    ["refused/ak-template", { attestationTemplate: template("000504f2") }],
    ["refused/ak-template", { attestationTemplate: template("00050072") }], // power cuts may lock it
    ["refused/ak-algorithm", { attestationTemplate: fromHex("0023000c0005047200000010" + "0018000b00030010", "") }],
    ["refused/ak-algorithm", { attestationTemplate: fromHex("0023000b0005047200000010" + "0018000c00030010", "") }],
    ["refused/ak-algorithm", { attestationTemplate: fromHex("0023000b0005047200000010" + "001000030010", "") }],
    ["refused/signature-algorithm", { signatureHash: "sha384" }],
    ["refused/attest-magic", { magic: 0xff544348 }],
    ["refused/attest-type", { type: 0x8017 }],
    ["malformed/tpm", { trailing: Uint8Array.of(0) }],
    ["refused/qualified-signer", { qualifiedSigner: new Uint8Array(34) }],
    ["refused/qualified-signer", { qualifiedSigner: new Uint8Array() }],
    ["refused/pcr-selection", { selection: encodePcrSelection([0, 1, 2, 3]) }],
    ["refused/pcr-selection", { selection: encodePcrSelection(Array.from({ length: 17 }, (_, i) => i)) }],
    ["refused/pcr-selection", { selection: fromHex("00000001000403ffff00", "") }],
    ["refused/pcr-selection", { selection: fromHex("00000002000b03ffff00000c03ffff00", "") }],
    ["refused/pcr-selection", { selection: fromHex("00000000", "") }],
    ["refused/pcr-digest", { quotedPcrs: pcrs.with(3, image) }],
  ];
  for (const [code, lies] of cases) assert.equal(await refusalOf(machine, lies), code, JSON.stringify(lies));
});

Deno.test("createTpmVerifier() refuses a register with an unexpected value, and names it", async () => {
  assert.equal(await refusalOf(machine, {}, pcrs.with(12, zero)), "refused/pcr-12");
  assert.equal(await refusalOf(machine, {}, pcrs.with(12, D12)), "refused/pcr-12");
  assert.equal(await refusalOf(machine, {}, pcrs.with(15, image)), "refused/pcr-15");
  assert.equal(await refusalOf(machine, {}, pcrs.with(11, filled(2))), "refused/pcr-11");
  assert.equal(await refusalOf(machine, {}, pcrs, { ...expectation, lock: [D15] }), "refused/pcr-15");
});

Deno.test("createTpmVerifier() refuses to verify when the caller passes no expectation", async () => {
  for (
    const missing of [{ trust: [] }, { trust: [new Uint8Array(31)] }, { lock: [] }, { lock: [new Uint8Array(31)] }, {
      identity: "",
    }]
  ) {
    assert.equal(await refusalOf(machine, {}, pcrs, { ...expectation, ...missing }), "internal/expectation");
  }
  const evidence = await machine.issue(new Uint8Array(), pcrs);
  const verifier = createTpmVerifier(policyFor(machine), now);
  assert.equal(
    (await errorOf(() => verifier.verify(evidence, new Uint8Array(), expectation))).code,
    "internal/expectation",
  );
});

Deno.test("createTpmVerifier() refuses replay: a quote over another statement, or over a prefix of it", async () => {
  const verifier = createTpmVerifier(policyFor(machine), now);
  for (
    const other of [
      flipped(statement, 0),
      flipped(statement, 31),
      statement.slice(0, 31),
      new Uint8Array(),
      concat(statement, zero),
    ]
  ) {
    const evidence = await machine.issue(other, pcrs);
    assert.equal((await errorOf(() => verifier.verify(evidence, statement, expectation))).code, "refused/statement");
  }
});

Deno.test("createTpmVerifier() refuses another variant with any payload", async () => {
  const { payload } = await machine.issue(statement, pcrs);
  const verifier = createTpmVerifier(policyFor(machine), now);
  for (const variant of ["none", "TPM", "", "snp"]) {
    assert.equal(
      (await errorOf(() => verifier.verify({ variant, payload }, statement, expectation))).code,
      "refused/variant",
    );
  }
});

Deno.test("createTpmVerifier() reports no check after the variant when that is another one", async () => {
  const seen: string[] = [];
  const verifier = createTpmVerifier(policyFor(machine), now);
  const evidence = { variant: "tdx", payload: filled(1) };
  await errorOf(() => verifier.verify(evidence, statement, expectation, ({ check }) => void seen.push(check)));
  assert.deepEqual(seen, ["variant"]);
});

Deno.test("createTpmVerifier() refuses another endorsement key, or one of another type", async () => {
  const other = await createSoftwareMachine();
  assert.equal(await refusalOf(machine, { endorsementKey: other.endorsementKey }), "refused/ek-identity");
  const p384 = await createSoftwareMachine("ecc-p384");
  assert.equal(await refusalOf(machine, { endorsementKey: p384.endorsementKey }), "refused/ek-type");
  const signing = concat(fromHex("0001000b000500b2", ""), machine.endorsementKey.subarray(8));
  assert.equal(await refusalOf(machine, { endorsementKey: signing }), "refused/ek-type");
});

Deno.test("createTpmVerifier() gives a software attestation key a challenge that the real EK's TPM does not open", async () => {
  const victim = await createSoftwareMachine();
  const evidence = await machine.issue(statement, pcrs, { endorsementKey: victim.endorsementKey });
  const { challenge } = await createTpmVerifier(policyFor(victim), now).verify(evidence, statement, expectation);
  assert.ok(challenge !== undefined);
  assert.equal((await errorOf(() => victim.activate(challenge.message))).code, "refused/tpm-value");
});

Deno.test("createTpmVerifier() refuses evidence when any byte of it is flipped", async () => {
  const evidence = await machine.issue(statement, pcrs);
  const verifier = createTpmVerifier(policyFor(machine), now);
  await verifier.verify(evidence, statement, expectation);
  const families = new Map<string, number>();
  for (let index = 0; index < evidence.payload.length; index++) {
    for (const mask of [0x01, 0x80]) {
      const changed: Evidence = { variant: "tpm", payload: flipped(evidence.payload, index, mask) };
      const { code } = await errorOf(() => verifier.verify(changed, statement, expectation));
      const family = code.split("/")[0] ?? "";
      families.set(family, (families.get(family) ?? 0) + 1);
    }
  }
  assert.deepEqual([...families.keys()].sort(), ["malformed", "refused"]);
});

Deno.test("createTpmVerifier() gives one verdict with and without reports when any byte is flipped", async () => {
  const evidence = await machine.issue(statement, pcrs);
  const verifier = createTpmVerifier(policyFor(machine), now);
  for (let index = 0; index < evidence.payload.length; index += 3) {
    const changed: Evidence = { variant: "tpm", payload: flipped(evidence.payload, index, 0x10) };
    const { code } = await errorOf(() => verifier.verify(changed, statement, expectation));
    const checks: EvidenceCheck[] = [];
    const error = await errorOf(() => verifier.verify(changed, statement, expectation, (check) => checks.push(check)));
    assert.equal(error.code, code);
    const first = checks.find(({ passed }) => !passed);
    assert.ok(first !== undefined && first.message !== "");
    if (code.startsWith("refused/")) assert.equal(`refused/${first.check}`, code);
  }
});

Deno.test("createTpmVerifier() reports every check, with expected and seen, also after a refusal", async () => {
  const evidence = await machine.issue(statement, pcrs.with(12, zero).with(11, filled(9)));
  const checks: EvidenceCheck[] = [];
  const other = { ...policyFor(machine), trust: { identities: new Set(["00".repeat(32)]), issuers: [] } };
  const verify = () =>
    createTpmVerifier(other, now).verify(evidence, randomBytes(32), expectation, (check) => checks.push(check));
  assert.equal((await errorOf(verify)).code, "refused/statement");
  const refused = checks.filter(({ passed }) => !passed).map(({ check }) => check);
  assert.deepEqual(refused, ["statement", "pcr-12", "pcr-11", "ek-identity"]);
  const pcr11 = checks.find(({ check }) => check === "pcr-11");
  assert.deepEqual([pcr11?.expected, pcr11?.seen], [`${hex(filled(1))}, ${hex(image)}`, hex(filled(9))]);
  const passed = ["variant", "ak-algorithm", "ak-attributes", "ak-template", "quote-signature", "qualified-signer"];
  assert.deepEqual(passed.filter((name) => !checks.some(({ check, passed }) => check === name && passed)), []);
});

Deno.test("createTpmVerifier() refuses evidence that is cut off, has trailing bytes, or is not evidence", async () => {
  const evidence = await machine.issue(statement, pcrs);
  const verifier = createTpmVerifier(policyFor(machine), now);
  const codeOf = async (payload: Uint8Array) =>
    (await errorOf(() => verifier.verify({ variant: "tpm", payload }, statement, expectation))).code;
  for (let length = 0; length < evidence.payload.length; length++) {
    assert.equal(await codeOf(evidence.payload.subarray(0, length)), "malformed/tpm");
  }
  assert.equal(await codeOf(concat(evidence.payload, Uint8Array.of(0))), "malformed/tpm");
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (payload) => {
    assert.match(await codeOf(payload), /^malformed\//);
  }));
});

Deno.test("the templates of endorsement keys are the same for reading and for creating", () => {
  for (const { template, publicArea } of Object.values(EK_PROFILES)) {
    assert.ok(equalBytes(publicArea.subarray(0, template.length), template));
  }
});
