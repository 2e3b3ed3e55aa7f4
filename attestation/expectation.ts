/**
 * What a verifier of any kind of evidence makes of an expectation.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";
import { AS_SHOWN, type Expectation, FRESH } from "./evidence.ts";

/** What stands for PCR 12 and PCR 15 on a machine: the allowed values, in the form that its evidence shows them. */
export interface RegisterValues {
  /** Of what stands for PCR 12. */
  readonly trust: readonly Uint8Array[];
  /** Of what stands for PCR 15. */
  readonly lock: readonly Uint8Array[];
}

/** How a kind of machine shows D12 and D15. */
export interface RegisterForms {
  /** What it shows of D12. */
  trust(digest: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** What it shows of D15. */
  lock(digest: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** What it shows where it is not locked. */
  readonly fresh: Uint8Array;
}

const DIGEST_BYTES = 32;
const IDENTITY = /^[0-9a-f]{64}$/;

/**
 * Checks that an expectation and a statement can be verified against. A caller that forgets what to expect would accept anything:
 * that is a defect, not the peer's fault.
 *
 * @throws {BootstrapError} `internal/expectation`.
 */
export function checkExpectation(statement: Uint8Array, expectation: Expectation | typeof AS_SHOWN): void {
  const isUsable = (values: readonly (Uint8Array | typeof FRESH)[]) =>
    values.length > 0 && values.every((value) => value === FRESH || value.length === DIGEST_BYTES);
  const isComplete = expectation === AS_SHOWN ||
    isUsable(expectation.trust) && isUsable(expectation.lock) && IDENTITY.test(expectation.identity);
  if (statement.length === DIGEST_BYTES && isComplete) return;
  const message = "Evidence is verified against 32-byte statements, digests and identities only";
  throw new BootstrapError("internal/expectation", message);
}

/** The values that an expectation allows, in the form of a kind of machine. */
export async function registerValues({ trust, lock }: Expectation, forms: RegisterForms): Promise<RegisterValues> {
  return {
    trust: await Promise.all(trust.map((digest) => forms.trust(digest))),
    lock: await Promise.all(lock.map((digest) => digest === FRESH ? forms.fresh : forms.lock(digest))),
  };
}
