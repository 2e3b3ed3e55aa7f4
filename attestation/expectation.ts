/**
 * Converts an expectation to the register values of a kind of evidence.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";
import { AS_SHOWN, type Expectation, FRESH } from "./evidence.ts";

/**
 * The allowed values of the registers that correspond to PCR 12 and PCR 15, in the form in which the evidence shows
 * them.
 */
export interface RegisterValues {
  /** The values for PCR 12. */
  readonly trust: readonly Uint8Array[];
  /** The values for PCR 15. */
  readonly lock: readonly Uint8Array[];
}

/** The forms in which a kind of machine shows D12 and D15. */
export interface RegisterForms {
  /** Returns the form of D12. */
  trust(digest: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Returns the form of D15. */
  lock(digest: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** The value of an unlocked machine. */
  readonly fresh: Uint8Array;
}

const DIGEST_BYTES = 32;
const IDENTITY = /^[0-9a-f]{64}$/;

/**
 * Checks that a statement and an expectation are complete. Without this check, a caller with an empty expectation would
 * accept any evidence. That is a defect of the caller, not the peer's fault.
 *
 * @throws {BootstrapError} `internal/expectation`.
 */
export function checkExpectation(statement: Uint8Array, expectation: Expectation | typeof AS_SHOWN): void {
  const isUsable = (values: readonly (Uint8Array | typeof FRESH)[]) =>
    values.length > 0 && values.every((value) => value === FRESH || value.length === DIGEST_BYTES);
  const isComplete = expectation === AS_SHOWN ||
    isUsable(expectation.trust) && isUsable(expectation.lock) && IDENTITY.test(expectation.identity);
  if (statement.length === DIGEST_BYTES && isComplete) return;
  const message = "Evidence can be verified only against statements, digests and identities of 32 bytes";
  throw new BootstrapError("internal/expectation", message);
}

/** Returns the values that an expectation allows, in the form of a kind of machine. */
export async function registerValues({ trust, lock }: Expectation, forms: RegisterForms): Promise<RegisterValues> {
  return {
    trust: await Promise.all(trust.map((digest) => forms.trust(digest))),
    lock: await Promise.all(lock.map((digest) => digest === FRESH ? forms.fresh : forms.lock(digest))),
  };
}
