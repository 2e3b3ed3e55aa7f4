/**
 * What the makers of a policy's sections have in common.
 *
 * @module
 */
import { asBootstrapError, BootstrapError, errorFamily } from "../../platform/errors.ts";
import type { AnyErrorCode } from "../../platform/errors.ts";
import type { Collateral } from "../collateral.ts";
import type { EkType } from "../kinds/tpm/templates.ts";
import type { UkiRegisters } from "../uki/measurements.ts";

/** Evidence of one kind by one machine. */
export interface SectionSource {
  /** Where it is from, for people: a path, an endpoint. */
  readonly name: string;
  /** Its payload. */
  readonly payload: Uint8Array;
}

/** What a section is made of. Each kind takes what it knows; only a TPM knows more than machines. */
export interface SectionSources {
  /** Evidence of the kind by machines. */
  readonly machines: readonly SectionSource[];
  /** Unified kernel images, with their names. */
  readonly images: readonly { readonly name: string; readonly registers: UkiRegisters }[];
  /** Identities that are trusted besides those of the machines, lower-case hexadecimal. */
  readonly identities: readonly string[];
  /** PCRs that are left out. */
  readonly withoutPcrs: readonly number[];
  /** The kind of endorsement key, where no machine tells. */
  readonly ekType: EkType;
}

/** What a section is made with. */
export interface SectionContext {
  /** Where to look for what vendors sign. Without it they are not asked, and what they would say is left open. */
  readonly collateral?: Collateral;
  /** The time of day. */
  readonly now: () => Date;
}

/** A section that was made. */
export interface MadeSection {
  /** The section, as it is written. */
  readonly section: Readonly<Record<string, unknown>>;
  /** What whoever uses it should know. */
  readonly remarks: readonly string[];
}

/** The values without those that came before. */
export function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}

/** A refusal of sources that make no policy. */
export function sourcesError(reason: string, next: string): BootstrapError {
  return new BootstrapError("usage/policy-sources", `Cannot make a policy: ${reason}`, { next });
}

/**
 * Does something with the evidence of one source; what goes wrong then names the source, and what is missing how to give it.
 *
 * @param missing The codes of refusals for collateral that is nowhere.
 */
export async function inSource<T>(
  name: string,
  missing: readonly AnyErrorCode[],
  task: () => T | Promise<T>,
): Promise<T> {
  try {
    return await task();
  } catch (error) {
    const failure = asBootstrapError(error);
    throw ["refused", "malformed"].includes(errorFamily(failure.code)) ? wrongSource(name, missing, failure) : failure;
  }
}

/** An error about the evidence of one source; for `missing` see {@linkcode inSource}. */
export function wrongSource(name: string, missing: readonly AnyErrorCode[], error: BootstrapError): BootstrapError {
  const options = { details: { document: name, ...error.details }, cause: error };
  if (missing.includes(error.code)) {
    return new BootstrapError(error.code, `The evidence in ${name} cannot be judged: ${error.message}`, {
      ...options,
      next: `${error.next}; --collateral names the folder`,
    });
  }
  return new BootstrapError(error.code, `The evidence in ${name} is not right in itself: ${error.message}`, {
    ...options,
    next: error.next,
  });
}
