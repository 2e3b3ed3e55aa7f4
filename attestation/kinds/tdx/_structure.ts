/**
 * Readers of Intel's structures: little-endian fields, and the errors for malformed bytes.
 *
 * @module
 */
import { ByteReader } from "../../../platform/byte_reader.ts";
import { BootstrapError } from "../../../platform/errors.ts";

/** The structure that is read. The error's code names it. */
export type TdxStructure = "quote" | "evidence" | "collateral";

/** Creates a reader of a structure. Its errors are those of {@linkcode structureError}. */
export function structureReader(bytes: Uint8Array, what: TdxStructure): ByteReader {
  const error = (_: string, reason: string) => structureError(what, reason);
  return new ByteReader(bytes, what, { order: "little-endian", error });
}

/** The error for malformed bytes: `malformed/tdx-quote`, `malformed/tdx-evidence`, `malformed/tdx-collateral`. */
export function structureError(what: TdxStructure, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError(`malformed/tdx-${what}`, `Cannot read "TDX ${what}" as ${reason}`, {
    details: { field: `TDX ${what}` },
    cause,
  });
}
