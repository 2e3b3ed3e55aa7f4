/**
 * The catalogue of error codes: each code with its meaning and its remedy. `deno task docs:errors` writes
 * docs/errors.md from it.
 *
 * A code that ends in `-N` stands for one code for each number, such as `refused/pcr-4`.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";
import { FOUNDING } from "./founding.ts";
import { MALFORMED } from "./malformed.ts";
import { PRECONDITION } from "./precondition.ts";
import { PROTOCOL, UNAUTHORIZED } from "./protocol.ts";
import { REFUSED, REFUSED_CERTIFICATES } from "./refused.ts";
import { REFUSED_SNP } from "./refused_snp.ts";
import { REFUSED_TDX } from "./refused_tdx.ts";
import { REFUSED_TPM } from "./refused_tpm.ts";
import { INTERNAL, SYSTEM } from "./system.ts";
import { ABORTED, CONFLICT, TIMEOUT, UNAVAILABLE } from "./transient.ts";
import { USAGE } from "./usage.ts";

/** The parts of the catalogue, in the order of the documentation. */
export const CATALOGUE_PARTS = [
  USAGE,
  MALFORMED,
  REFUSED,
  REFUSED_CERTIFICATES,
  REFUSED_TPM,
  REFUSED_SNP,
  REFUSED_TDX,
  UNAUTHORIZED,
  PROTOCOL,
  PRECONDITION,
  CONFLICT,
  UNAVAILABLE,
  TIMEOUT,
  ABORTED,
  SYSTEM,
  INTERNAL,
  FOUNDING,
] as const;

/** The keys of each of several types. */
export type KeyOf<Part> = Part extends unknown ? keyof Part : never;

/** The name of a row of the catalogue. */
export type CatalogueCode = KeyOf<typeof CATALOGUE_PARTS[number]>;

/** The codes of a row. A name that ends in `-N` stands for one code for each number. */
export type Numbered<Code> = Code extends `${infer Name}-N` ? `${Name}-${number}` : Code;

/** A stable error code of this version: its family, a slash, and the specific failure, such as `refused/pcr-4`. */
export type ErrorCode = Numbered<CatalogueCode>;

/** All codes. */
export const ERROR_CATALOGUE: ErrorEntries<CatalogueCode> = joined();

/** Returns the name of a code's row, or `undefined` for a code that this version does not define. */
export function catalogueCode(code: string): CatalogueCode | undefined {
  const name = code.replace(/-\d{1,2}$/, "-N");
  if (name !== code && Object.hasOwn(ERROR_CATALOGUE, name)) return name as CatalogueCode;
  return !code.endsWith("-N") && Object.hasOwn(ERROR_CATALOGUE, code) ? code as CatalogueCode : undefined;
}

function joined(): ErrorEntries<CatalogueCode> {
  const rows = CATALOGUE_PARTS.flatMap((part) => Object.entries(part));
  const all = Object.fromEntries(rows);
  if (Object.keys(all).length !== rows.length) throw new TypeError("The catalogue has an error code twice");
  return Object.freeze(all) as ErrorEntries<CatalogueCode>;
}
