/**
 * Intel's structures: little-endian fields, and the errors for bytes that do not have their form.
 *
 * @module
 */
import { ByteReader } from "../../../platform/byte_reader.ts";
import { BootstrapError } from "../../../platform/errors.ts";

/** What is read; the error's code names it. */
export type TdxStructure = "quote" | "evidence" | "collateral";

/** A reader of a structure; its errors are {@linkcode structureError}'s. */
export function structureReader(bytes: Uint8Array, what: TdxStructure): ByteReader {
  const error = (_: string, reason: string) => structureError(what, reason);
  return new ByteReader(bytes, what, { order: "little-endian", error });
}

/** The error for bytes that do not have their form: `malformed/tdx-quote`, `malformed/tdx-evidence`, `malformed/tdx-collateral`. */
export function structureError(what: TdxStructure, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError(`malformed/tdx-${what}`, `Cannot read "TDX ${what}" as ${reason}`, {
    details: { field: `TDX ${what}` },
    cause,
  });
}
