/**
 * Verification of a peer's evidence by a service or an operator. All checks run, so a refused peer learns every failed
 * check.
 *
 * @module
 */
import type { FailedCheck } from "../platform/errors.ts";
import { CollateralWanted } from "./collateral_wanted.ts";
import { asBootstrapError, BootstrapError, optionsOf } from "../platform/errors.ts";
import type {
  Evidence,
  EvidenceCheck,
  EvidenceVerifier,
  Expectation,
  KnownTrust,
  VerifiedEvidence,
} from "./evidence.ts";

/** The limit on reported checks. No verifier has that many in practice, and more would not help a peer. */
const MAXIMUM_CHECKS = 64;

/**
 * Verifies evidence. {@linkcode EvidenceVerifier.verify} describes the arguments.
 *
 * @throws {BootstrapError} The first refusal, with all failed checks as its `checks`; {@linkcode CollateralWanted}.
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
    if (error instanceof CollateralWanted) throw error;
    throw await explained(asBootstrapError(error), checks, expectation);
  }
  if (checks.length === 0) return verified;
  // A verifier must not accept evidence after a failed check. This guards against a defective verifier.
  throw new BootstrapError("internal/evidence", "Evidence was accepted despite failed checks", { checks });
}

/** Adds the failed checks to a refusal. Where a check saw a known trust part, the refusal says which. */
async function explained(
  error: BootstrapError,
  failed: readonly FailedCheck[],
  expectation: Expectation,
): Promise<BootstrapError> {
  const known = failed.length === 0 ? [] : await expectation.otherTrust?.() ?? [];
  const checks = failed.map((check) => ({ ...check, message: withMeaning(check, known) }));
  const first = checks.find(({ check }) => error.code === `refused/${check}`);
  return new BootstrapError(error.code, first?.message ?? error.message, { ...optionsOf(error), checks });
}

/** Returns the message of a failed check, with the meaning of a known trust part that it saw. */
export function withMeaning(
  { message, seen }: Pick<FailedCheck, "message" | "seen">,
  known: readonly KnownTrust[],
): string {
  const found = known.find(({ values }) => values.includes(seen));
  return found === undefined
    ? message
    : `${message}: the machine's configuration has ${found.meaning}, and the policy wants ${found.expected}`;
}
