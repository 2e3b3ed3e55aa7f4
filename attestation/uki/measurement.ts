/**
 * Measurements of an image, and the register values that they make.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { fromHex, hex, sha256 } from "../../platform/bytes.ts";

/** One measurement of an image. */
export interface UkiMeasurement {
  /** The register, 4 or 11. */
  readonly pcr: number;
  /** The description of the measured data, in the terms of the event log. */
  readonly description: string;
  /** The digest that the register is extended by, SHA-256, hexadecimal. */
  readonly digest: string;
}

/** Returns the measurement of data. */
export async function measurement(pcr: number, description: string, content: Uint8Array): Promise<UkiMeasurement> {
  return hashed(pcr, description, await sha256(content));
}

/** Returns the measurement of data that has this SHA-256 digest. */
export function hashed(pcr: number, description: string, digest: Bytes): UkiMeasurement {
  return { pcr, description, digest: hex(digest) };
}

/** Returns the value of a register that held zeros before these measurements. */
export async function extendedBy(measurements: readonly UkiMeasurement[]): Promise<Bytes> {
  let value: Bytes = new Uint8Array(32);
  for (const { digest } of measurements) value = await sha256(value, fromHex(digest, "digest"));
  return value;
}
