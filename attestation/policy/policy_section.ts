/**
 * Types and helpers shared by the makers of a policy's sections.
 *
 * @module
 */
import { asBootstrapError, BootstrapError, errorFamily } from "../../platform/errors.ts";
import type { AnyErrorCode } from "../../platform/errors.ts";
import type { Collateral } from "../collateral.ts";
import type { EkType } from "../kinds/tpm/templates.ts";
import type { UkiRegisters } from "../uki/measurements.ts";

/** Evidence of one kind from one machine. */
export interface SectionSource {
  /** The source of the evidence, for people: a path or an endpoint. */
  readonly name: string;
  readonly payload: Uint8Array;
}

/** The sources of a section. Only the kind for TPMs uses more than `machines`. */
export interface SectionSources {
  /** The machines' evidence of the kind. */
  readonly machines: readonly SectionSource[];
  /** Unified kernel images and their names. */
  readonly images: readonly { readonly name: string; readonly registers: UkiRegisters }[];
  /** Trusted identities besides those of the machines, lower-case hexadecimal. */
  readonly identities: readonly string[];
  /** PCRs to leave out. */
  readonly withoutPcrs: readonly number[];
  /** PCRs to pin besides those that say what boots. Default: none. */
  readonly withPcrs?: readonly number[];
  /** The type of the endorsement key, if there is no machine to take it from. */
  readonly ekType: EkType;
}

/** The dependencies of a section's maker. */
export interface SectionContext {
  /** The source of documents that vendors sign. Without it, the vendors' statements are not consulted. */
  readonly collateral?: Collateral;
  /** Returns the time of day. */
  readonly now: () => Date;
}

/** A new section. */
export interface MadeSection {
  /** The section as it stands in the document. */
  readonly section: Readonly<Record<string, unknown>>;
  /** Remarks for the users of the policy. */
  readonly remarks: readonly string[];
}

/** Returns the values without duplicates, in order of their first occurrence. */
export function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}

/** Returns the error for sources that do not make a policy. */
export function sourcesError(reason: string, next: string): BootstrapError {
  return new BootstrapError("usage/policy-sources", `Cannot make a policy: ${reason}`, { next });
}

/**
 * Runs a task on the evidence of one source. Its errors name the source, and those about missing collateral name the
 * option that supplies it.
 *
 * @param missing The codes of refusals for missing collateral.
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

/** Returns an error about the evidence of one source. {@linkcode inSource} describes `missing`. */
export function wrongSource(name: string, missing: readonly AnyErrorCode[], error: BootstrapError): BootstrapError {
  const options = { details: { document: name, ...error.details }, cause: error };
  if (missing.includes(error.code)) {
    return new BootstrapError(error.code, `The evidence in ${name} cannot be judged: ${error.message}`, {
      ...options,
      next: `${error.next}; --collateral names the folder`,
    });
  }
  return new BootstrapError(error.code, `The evidence in ${name} is invalid: ${error.message}`, {
    ...options,
    next: error.next,
  });
}
