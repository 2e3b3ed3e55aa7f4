/**
 * Verification of a peer's evidence by a service or an operator. All checks run, so a refused peer learns every failed
 * check.
 *
 * @module
 */
import type { FailedCheck } from "../platform/errors.ts";
import { asBootstrapError, BootstrapError, optionsOf } from "../platform/errors.ts";
import type { Evidence, EvidenceCheck, EvidenceVerifier, Expectation, VerifiedEvidence } from "./evidence.ts";

/** The limit on reported checks. No verifier has that many in practice, and more would not help a peer. */
const MAXIMUM_CHECKS = 64;

/**
 * Verifies evidence. {@linkcode EvidenceVerifier.verify} describes the arguments.
 *
 * @throws {BootstrapError} The first refusal, with all failed checks as its `checks`.
 */
export async function verifyEvidence(
  verifier: Pick<EvidenceVerifier, "verify">,
  evidence: Evidence,
  statement: Uint8Array,
  expectation: Expectation,
  report?: (check: EvidenceCheck) => void,
): Promise<VerifiedEvidence> {
  const checks: FailedCheck[] = [];
  let verified: VerifiedEvidence;
  try {
    verified = await verifier.verify(evidence, statement, expectation, (ended) => {
      report?.(ended);
      const { passed, check, expected, seen, message } = ended;
      if (!passed && checks.length < MAXIMUM_CHECKS) checks.push({ check, expected, seen, message });
    });
  } catch (error) {
    throw withChecks(asBootstrapError(error), checks);
  }
  if (checks.length === 0) return verified;
  // A verifier must not accept evidence after a failed check. This guards against a defective verifier.
  throw new BootstrapError("internal/evidence", "Evidence was accepted despite failed checks", { checks });
}

function withChecks(error: BootstrapError, checks: readonly FailedCheck[]): BootstrapError {
  return new BootstrapError(error.code, error.message, { ...optionsOf(error), checks });
}
