/**
 * What tests share.
 *
 * @module
 */
import type { Bytes } from "../../../../platform/bytes.ts";
import { oraclesIn, type OracleTest } from "../../../testing/evidence.ts";

/** Registers a test over evidence of TDs. */
export const oracleTest: OracleTest = oraclesIn("tdx");

/** So many octets of one value. */
export function filled(length: number, value: number): Bytes {
  return new Uint8Array(length).fill(value);
}
