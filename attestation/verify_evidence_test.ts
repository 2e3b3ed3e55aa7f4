import { refusal } from "../protocol/refusal.ts";
import assert from "node:assert/strict";
import type { EvidenceCheck, EvidenceVerifier, Expectation } from "./evidence.ts";
import { verifyEvidence } from "./verify_evidence.ts";
import { BootstrapError } from "../platform/errors.ts";

const CLAIMS = { variant: "tpm", identity: "aa", fresh: true } as const;
const FAILED = { check: "pcr-4", passed: false, expected: "00", seen: "11", message: "PCR 4 differs" };

/** A verifier that reports these checks, and throws `error` if there is one. */
function verifierWith(checks: readonly EvidenceCheck[], error?: BootstrapError): EvidenceVerifier {
  return {
    variant: "tpm",
    verify(_evidence, _statement, _expectation, report) {
      for (const check of checks) report?.(check);
      return error === undefined ? Promise.resolve({ claims: CLAIMS }) : Promise.reject(error);
    },
  };
}

const verify = (verifier: EvidenceVerifier, expectation: Partial<Expectation> = {}) =>
  verifyEvidence(verifier, { variant: "tpm", payload: new Uint8Array() }, new Uint8Array(32), {
    ...{ trust: [], lock: [], identity: "" },
    ...expectation,
  });

async function refused(verifier: EvidenceVerifier, expectation?: Partial<Expectation>): Promise<BootstrapError> {
  const error = await verify(verifier, expectation).then(
    () => assert.fail("it was accepted"),
    (reason: unknown) => reason,
  );
  assert(error instanceof BootstrapError);
  return error;
}

Deno.test("verifyEvidence() returns the verifier's result when all checks passed", async () => {
  assert.deepEqual(await verify(verifierWith([{ ...FAILED, passed: true }])), { claims: CLAIMS });
});

Deno.test("verifyEvidence() throws the verifier's refusal with all failed checks, and no passed ones", async () => {
  const cause = new Error("below");
  const first = new BootstrapError("refused/pcr-4", "PCR 4 differs", { next: "Look", details: { seen: "11" }, cause });
  const checks = [FAILED, { ...FAILED, check: "pcr-5", passed: true }, { ...FAILED, check: "pcr-11" }];
  const error = await refused(verifierWith(checks, first));
  const { passed: _, ...failed } = FAILED;
  assert.deepEqual(
    [error.code, error.message, error.next, error.details, error.cause],
    [first.code, first.message, first.next, first.details, cause],
  );
  assert.deepEqual(error.checks, [failed, { ...failed, check: "pcr-11" }]);
});

Deno.test("verifyEvidence() says which known configuration a refused register shows", async () => {
  const first = refusal("pcr-12", "PCR 12 has a value that is not allowed", "00", "11");
  const checks = [{ ...FAILED, check: "pcr-12", message: first.message }, { ...FAILED, seen: "22" }];
  const known = { values: ["11"], meaning: "a switch", expected: "none" };
  const otherTrust = () => Promise.resolve([known]);
  const error = await refused(verifierWith(checks, first), { otherTrust });
  assert.equal(error.code, "refused/pcr-12");
  assert.match(error.message, /not allowed: the machine's configuration has a switch, and the policy wants none$/);
  assert.deepEqual(error.checks.map(({ message }) => message), [error.message, FAILED.message]);
  const others = await refused(verifierWith(checks, first), { otherTrust: () => Promise.resolve([]) });
  assert.equal(others.message, first.message);
});

Deno.test("verifyEvidence() keeps a bounded number of checks", async () => {
  const checks = Array.from({ length: 1000 }, () => FAILED);
  assert.equal((await refused(verifierWith(checks, refusal("pcr-4", "no", "00", "11")))).checks.length, 64);
});

Deno.test("verifyEvidence() refuses when a verifier accepts despite a failed check", async () => {
  assert.equal((await refused(verifierWith([FAILED]))).code, "internal/evidence");
});
