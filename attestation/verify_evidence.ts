/**
 * How a service or an operator verifies a peer's evidence: to the end, so that who is refused hears of every failed check.
 *
 * @module
 */
import type { FailedCheck } from "../platform/errors.ts";
import { asBootstrapError, BootstrapError, optionsOf } from "../platform/errors.ts";
import type { Evidence, EvidenceCheck, EvidenceVerifier, Expectation, VerifiedEvidence } from "./evidence.ts";

/** More than any verifier has in practice; a peer that fails all of them learns no more from the rest. */
const MAXIMUM_CHECKS = 64;

/**
 * Verifies evidence; for the arguments see {@linkcode EvidenceVerifier.verify}.
 *
 * @throws {BootstrapError} The first refusal, with all checks that failed as its `checks`.
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
  // No verifier may do that; if one did, its own word would let the machine in.
  throw new BootstrapError("internal/evidence", "Evidence was accepted in spite of failed checks", { checks });
}

function withChecks(error: BootstrapError, checks: readonly FailedCheck[]): BootstrapError {
  return new BootstrapError(error.code, error.message, { ...optionsOf(error), checks });
}
