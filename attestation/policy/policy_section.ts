/**
 * What the makers of a policy's sections have in common.
 *
 * @module
 */
import { asBootstrapError, BootstrapError, errorFamily } from "../../platform/errors.ts";
import type { AnyErrorCode } from "../../platform/errors.ts";
import type { Collateral } from "../collateral.ts";
import type { VendorAnchors } from "../vendor_anchors.ts";

/** Evidence of one kind by one machine. */
export interface SectionSource {
  /** Where it is from, for people: a path, an endpoint. */
  readonly name: string;
  /** Its payload. */
  readonly payload: Uint8Array;
}

/** What a section is made with. */
export interface SectionContext {
  /** Where to look for what vendors sign. Without it they are not asked, and what they would say is left open. */
  readonly collateral?: Collateral;
  /** The time of day. */
  readonly now: () => Date;
  /** What is trusted. */
  readonly anchors?: VendorAnchors;
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

const MISSING: readonly AnyErrorCode[] = ["refused/snp-collateral", "refused/tdx-collateral-missing"];

/** Does something with the evidence of one source; what goes wrong then names the source, and what is missing how to give it. */
export async function inSource<T>(name: string, task: () => T | Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    const failure = asBootstrapError(error);
    throw ["refused", "malformed"].includes(errorFamily(failure.code)) ? wrongSource(name, failure) : failure;
  }
}

/** An error about the evidence of one source. */
export function wrongSource(name: string, error: BootstrapError): BootstrapError {
  const options = { details: { document: name, ...error.details }, cause: error };
  if (MISSING.includes(error.code)) {
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
