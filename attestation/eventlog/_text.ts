/**
 * Text in event logs, as people may see it.
 *
 * @module
 */
import { hex } from "../../platform/bytes.ts";

/** Of long texts this much is shown, in characters. */
const LONGEST_TEXT = 200;
/** Of bytes that are no text this much is shown. */
const SHOWN_BYTES = 32;

/** ASCII with an optional NUL at its end, or `undefined` if the bytes are anything else. */
export function asciiIn(bytes: Uint8Array): string | undefined {
  const end = bytes.at(-1) === 0 ? bytes.length - 1 : bytes.length;
  const text = bytes.subarray(0, end);
  if (
    text.length === 0 || !text.every((octet) => (octet >= 0x20 && octet < 0x7f) || octet === 0x0a || octet === 0x09)
  ) {
    return undefined;
  }
  return new TextDecoder("ascii").decode(text);
}

/** UTF-16 with an optional NUL at its end, or `undefined` if the bytes are anything else. */
export function utf16In(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0 || bytes.length % 2 !== 0) return undefined;
  let text: string;
  try {
    text = new TextDecoder("utf-16le", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
  if (text.endsWith("\0")) text = text.slice(0, -1);
  return text.length > 0 && !/[\p{Cc}\p{Cn}\p{Co}]/u.test(text) ? text : undefined;
}

/** Text from anywhere on one line, without what would steer a terminal, and not too long. */
export function shown(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ").trim();
  return line.length > LONGEST_TEXT ? `${line.slice(0, LONGEST_TEXT)}…` : line;
}

/** The first bytes in hexadecimal, and how many there are. */
export function preview(bytes: Uint8Array): string {
  if (bytes.length === 0) return "no data";
  return bytes.length <= SHOWN_BYTES ? hex(bytes) : `${hex(bytes.subarray(0, SHOWN_BYTES))}… (${bytes.length} bytes)`;
}

/** A GUID as it is written: the first three fields are little-endian. */
export function guidText(bytes: Uint8Array): string {
  const text = [[3, 2, 1, 0], [5, 4], [7, 6], [8, 9], [10, 11, 12, 13, 14, 15]];
  return text.map((octets) => octets.map((i) => (bytes[i] ?? 0).toString(16).padStart(2, "0")).join("")).join("-");
}
