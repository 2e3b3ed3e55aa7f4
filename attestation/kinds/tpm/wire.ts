/**
 * The wire format of a TPM 2.0: big-endian integers, and byte strings with a 16-bit length in front (TPM 2.0 Part 2, TPM2B).
 *
 * @module
 */
import type { ByteFormat } from "../../../platform/byte_reader.ts";
import { ByteReader } from "../../../platform/byte_reader.ts";
import { ByteWriter } from "../../../platform/byte_writer.ts";
import { BootstrapError } from "../../../platform/errors.ts";

const FORMAT: ByteFormat = Object.freeze({ order: "big-endian", error: tpmError });

/** A writer of a TPM's structures. */
export function tpmWriter(): ByteWriter {
  return new ByteWriter(FORMAT.order);
}

/** A reader of a TPM's structure, which errors name; its errors are `malformed/tpm`. */
export function tpmReader(bytes: Uint8Array, what: string): ByteReader {
  return new ByteReader(bytes, what, FORMAT);
}

/** The error for bytes that do not have their form. */
export function tpmError(what: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/tpm", `Cannot read "${what}" as ${reason}`, {
    details: { field: what },
    cause,
  });
}
