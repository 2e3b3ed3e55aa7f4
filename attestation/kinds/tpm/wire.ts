/**
 * The wire format of a TPM 2.0: big-endian integers, and byte strings after a 16-bit length (TPM 2.0 Part 2, TPM2B).
 *
 * @module
 */
import type { ByteFormat } from "../../../platform/byte_reader.ts";
import { ByteReader } from "../../../platform/byte_reader.ts";
import { ByteWriter } from "../../../platform/byte_writer.ts";
import { BootstrapError } from "../../../platform/errors.ts";

const FORMAT: ByteFormat = Object.freeze({ order: "big-endian", error: tpmError });

/** Creates a writer of TPM structures. */
export function tpmWriter(): ByteWriter {
  return new ByteWriter(FORMAT.order);
}

/** Creates a reader of a TPM structure. Its errors are `malformed/tpm` and name the structure. */
export function tpmReader(bytes: Uint8Array, what: string): ByteReader {
  return new ByteReader(bytes, what, FORMAT);
}

/** The error for bytes that are not in the required form. */
export function tpmError(what: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/tpm", `Cannot read "${what}" as ${reason}`, {
    details: { field: what },
    cause,
  });
}
