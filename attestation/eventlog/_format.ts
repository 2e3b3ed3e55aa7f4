/**
 * Little-endian structures, as PC firmware writes them into its log.
 *
 * @module
 */
import type { ByteFormat } from "../../platform/byte_reader.ts";
import { ByteReader } from "../../platform/byte_reader.ts";
import { BootstrapError } from "../../platform/errors.ts";

const FORMAT: ByteFormat = Object.freeze({ order: "little-endian", error: logError });

/** A reader of a structure, which errors name; its errors are `malformed/event-log`. */
export function logReader(bytes: Uint8Array, what: string): ByteReader {
  return new ByteReader(bytes, what, FORMAT);
}

/** The error for bytes that do not have their form. */
export function logError(what: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/event-log", `Cannot read "${what}" as ${reason}`, { details: { field: what } });
}
