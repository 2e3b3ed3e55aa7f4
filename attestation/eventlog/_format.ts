/**
 * Readers for the little-endian structures in the log of PC firmware.
 *
 * @module
 */
import type { ByteFormat } from "../../platform/byte_reader.ts";
import { ByteReader } from "../../platform/byte_reader.ts";
import { BootstrapError } from "../../platform/errors.ts";

const FORMAT: ByteFormat = Object.freeze({ order: "little-endian", error: logError });

/** Creates a reader of a structure. Its errors are `malformed/event-log` and name the structure. */
export function logReader(bytes: Uint8Array, what: string): ByteReader {
  return new ByteReader(bytes, what, FORMAT);
}

/** Returns the error for bytes that do not have their form. */
export function logError(what: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/event-log", `Cannot read "${what}" as ${reason}`, { details: { field: what } });
}
