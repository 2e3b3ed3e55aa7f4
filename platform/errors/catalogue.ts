/**
 * The catalogue of error codes: every code once, with its meaning and what to do. `deno task docs:errors` makes docs/errors.md
 * from it.
 *
 * A code that ends in `-N` stands for one code for each number, as `refused/pcr-4`.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";
import { MALFORMED } from "./malformed.ts";
import { PRECONDITION } from "./precondition.ts";
import { PROTOCOL, UNAUTHORIZED } from "./protocol.ts";
import { REFUSED, REFUSED_CERTIFICATES, REFUSED_SERVING } from "./refused.ts";
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
  REFUSED_SERVING,
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
] as const;

/** The keys of each of several types. */
export type KeyOf<Part> = Part extends unknown ? keyof Part : never;

/** The name of a row of the catalogue. */
export type CatalogueCode = KeyOf<typeof CATALOGUE_PARTS[number]>;

/** A row whose name ends in `-N`, as the codes that it stands for. */
export type Numbered<Code> = Code extends `${infer Name}-N` ? `${Name}-${number}` : Code;

/** A stable error code of this version: its family, a slash, and what exactly, as in `refused/pcr-4`. */
export type ErrorCode = Numbered<CatalogueCode>;

/** All codes. */
export const ERROR_CATALOGUE: ErrorEntries<CatalogueCode> = joined();

/** The row that tells of a code, or `undefined` for a code that is not of this version. */
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
