/**
 * Shared by the tests of TDX.
 *
 * @module
 */
import type { Bytes } from "../../../../platform/bytes.ts";
import { oraclesIn, type OracleTest } from "../../../testing/evidence.ts";

/** Registers a test that uses recorded TDX evidence. */
export const oracleTest: OracleTest = oraclesIn("tdx");

/** `length` octets of one value. */
export function filled(length: number, value: number): Bytes {
  return new Uint8Array(length).fill(value);
}
