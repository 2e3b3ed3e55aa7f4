import { refusal } from "../protocol/refusal.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { hex } from "../platform/bytes.ts";
import {
  combinedName,
  combineIssuers,
  combineRegisters,
  combineVerifiers,
  decodeEvidenceSet,
  encodeEvidenceSet,
} from "./combined.ts";
import type {
  EvidenceCheck,
  EvidenceClaims,
  EvidenceIssuer,
  EvidenceVerifier,
  MeasurementRegisters,
} from "./evidence.ts";
import { FRESH } from "./evidence.ts";
import { errorOf } from "./testing/evidence.ts";

const STATEMENT = new Uint8Array(32).fill(1);
const EXPECTATION = { trust: [STATEMENT], lock: [FRESH], identity: "1d".repeat(32) };

/** Evidence whose payload is the statement. */
function issuerOf(variant: string, changes: Partial<EvidenceIssuer> = {}): EvidenceIssuer {
  return {
    variant,
    isChallenged: false,
    issue: (statement) => Promise.resolve({ variant, payload: statement }),
    activate: () => Promise.reject(new Error("not challenged")),
    ownIdentity: (bound) => Promise.resolve(`${variant} ${bound}`),
    ...changes,
  };
}

function refusalOf(variant: string): "statement" | "snp-report-data" {
  return variant === "tpm" ? "statement" : "snp-report-data";
}

function verifierOf(variant: string, claims: Partial<EvidenceClaims> = {}): EvidenceVerifier {
  return {
    variant,
    verify(evidence, statement, _registers, report) {
      const passed = evidence.variant === variant && hex(evidence.payload) === hex(statement);
      const check = { check: `${variant}-statement`, passed, expected: hex(statement), seen: hex(evidence.payload) };
      report?.({ ...check, message: passed ? "" : "another connection" });
      if (!passed) return Promise.reject(refusal(refusalOf(variant), "another connection", "", ""));
      return Promise.resolve({ claims: { variant, identity: variant, fresh: true, ...claims } });
    },
  };
}

const issuer = combineIssuers([issuerOf("tpm"), issuerOf("snp")]);
const verifier = combineVerifiers([
  verifierOf("tpm", { resetCount: 7, restartCount: 2 }),
  verifierOf("snp", { showsNoLock: true, isEphemeral: true, facts: { chip: "c" } }),
]);

Deno.test("combineVerifiers() accepts all kinds over one statement, and takes the identity from the first", async () => {
  const { claims } = await verifier.verify(await issuer.issue(STATEMENT), STATEMENT, EXPECTATION);
  assert.deepEqual(claims, {
    ...{ variant: "tpm+snp", identity: "tpm", identities: ["tpm", "snp"], fresh: true, facts: { chip: "c" } },
    ...{ resetCount: 7, restartCount: 2 },
  });
  assert.equal(await issuer.ownIdentity("b"), "tpm b");
});

Deno.test("combineVerifiers() claims showsNoLock and fresh only when its parts do", async () => {
  const noLock = combineVerifiers([verifierOf("tpm", { showsNoLock: true }), verifierOf("snp", { showsNoLock: true })]);
  assert.equal((await noLock.verify(await issuer.issue(STATEMENT), STATEMENT, EXPECTATION)).claims.showsNoLock, true);
  const locked = combineVerifiers([verifierOf("tpm"), verifierOf("snp", { fresh: false })]);
  assert.equal((await locked.verify(await issuer.issue(STATEMENT), STATEMENT, EXPECTATION)).claims.fresh, false);
});

Deno.test("attack: downgrade, evidence of fewer kinds, of others, in another order, twice, or over another statement", async () => {
  // Otherwise an attacker who holds one kind of evidence could join with that alone. combineVerifiers() stops it: it
  // requires exactly all kinds, in their order.
  const [tpm, snp] = [await issuerOf("tpm").issue(STATEMENT), await issuerOf("snp").issue(STATEMENT)];
  const other = { variant: "snp", payload: new Uint8Array(32) };
  const set = (...evidence: (typeof tpm)[]) => ({ variant: "tpm+snp", payload: encodeEvidenceSet(evidence) });
  const attacks = [
    [tpm, "refused/variant"],
    [{ variant: "snp+tpm", payload: encodeEvidenceSet([snp, tpm]) }, "refused/variant"],
    [{ variant: "none", payload: new Uint8Array(32) }, "refused/variant"],
    [set(tpm), "malformed/evidence-set"],
    [set(), "malformed/evidence-set"],
    [set(snp, tpm), "refused/variants"],
    [set(tpm, tpm), "refused/variants"],
    [set(tpm, snp, snp), "refused/variants"],
    [set(tpm, { variant: "none", payload: STATEMENT }), "refused/variants"],
    [set(tpm, { variant: "tpm+snp", payload: STATEMENT }), "malformed/evidence-set"],
    [set(tpm, other), "refused/snp-report-data"],
    [set({ ...tpm, payload: new Uint8Array(32) }, snp), "refused/statement"],
  ] as const;
  for (const [evidence, code] of attacks) {
    assert.equal((await errorOf(() => verifier.verify(evidence, STATEMENT, EXPECTATION))).code, code);
    const checks: EvidenceCheck[] = [];
    const report = (check: EvidenceCheck) => checks.push(check);
    assert.equal((await errorOf(() => verifier.verify(evidence, STATEMENT, EXPECTATION, report))).code, code);
    assert.ok(checks.some(({ passed }) => !passed));
  }
});

Deno.test("combineVerifiers() reports the checks of every kind, also after a refusal", async () => {
  const checks: EvidenceCheck[] = [];
  const payload = encodeEvidenceSet([
    { variant: "tpm", payload: new Uint8Array() },
    await issuerOf("snp").issue(STATEMENT),
  ]);
  const report = (check: EvidenceCheck) => checks.push(check);
  await errorOf(() => verifier.verify({ variant: "tpm+snp", payload }, STATEMENT, EXPECTATION, report));
  assert.deepEqual(checks.map(({ check, passed }) => [check, passed]), [
    ...[["variant", true], ["form", true], ["variants", true]],
    ...[["tpm-statement", false], ["snp-statement", true]],
  ]);
});

Deno.test("combineIssuers() opens a challenge with the issuer that expects one", async () => {
  const secret = new Uint8Array(32).fill(9);
  const challenged = issuerOf("tpm", { isChallenged: true, activate: () => Promise.resolve(secret) });
  const challenge = { credentialBlob: new Uint8Array(), encryptedSecret: new Uint8Array() };
  const both = combineIssuers([issuerOf("snp"), challenged]);
  assert.equal(both.isChallenged, true);
  assert.equal(await both.activate(challenge), secret);
  assert.equal((await errorOf(() => issuer.activate(challenge))).code, "protocol/challenge");
  assert.throws(() => combineIssuers([challenged, challenged]), { code: "internal/evidence" });
  assert.throws(() => combineIssuers([]), { code: "internal/evidence" });
  assert.equal(combineIssuers([challenged]), challenged);
  assert.equal(combinedName(["a", "b"]), "a+b");
});

Deno.test("combineRegisters() reads the registers of all parts, and each part is extended separately", async () => {
  const part = (value: number): MeasurementRegisters => ({
    read: () => Promise.resolve(new Uint8Array(2).fill(value)),
    extend: () => Promise.resolve(),
  });
  const both = combineRegisters([part(1), part(2)]);
  assert.deepEqual(await both.read(12), Uint8Array.of(1, 1, 2, 2));
  assert.equal(both.parts?.length, 2);
  assert.equal((await errorOf(() => both.extend(12, STATEMENT))).code, "internal/registers");
});

Deno.test("decodeEvidenceSet() reads what encodeEvidenceSet() writes, and refuses anything else", () => {
  const piece = fc.record({ variant: fc.constantFrom("tpm", "snp", "tdx"), payload: fc.uint8Array({ maxLength: 40 }) });
  fc.assert(fc.property(fc.array(piece, { minLength: 2, maxLength: 4 }), (pieces) => {
    const read = decodeEvidenceSet(encodeEvidenceSet(pieces));
    assert.deepEqual(
      read.map(({ variant, payload }) => [variant, hex(payload)]),
      pieces.map(({ variant, payload }) => [variant, hex(payload)]),
    );
  }));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    try {
      assert.deepEqual(encodeEvidenceSet(decodeEvidenceSet(bytes)), bytes);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "malformed/evidence-set");
    }
  }));
});

Deno.test("decodeEvidenceSet() accepts one encoding only, without trailing bytes and unknown fields", () => {
  const pieces = [{ variant: "tpm", payload: STATEMENT }, { variant: "snp", payload: STATEMENT }];
  const payload = encodeEvidenceSet(pieces);
  for (const more of [[0], [0, 1, 2], [0x12, 0x00], [0x10, 0x01]]) {
    assert.throws(() => decodeEvidenceSet(Uint8Array.of(...payload, ...more)), { code: "malformed/evidence-set" });
  }
});
