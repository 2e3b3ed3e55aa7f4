/**
 * Text from event logs in a form that is safe to show.
 *
 * @module
 */
import { hex } from "../../platform/bytes.ts";

/** The limit on shown text, in characters. */
const LONGEST_TEXT = 200;
/** The limit on shown bytes that are not text. */
const SHOWN_BYTES = 32;

/** Reads ASCII with an optional NUL at its end. Returns `undefined` for any other bytes. */
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

/** Reads UTF-16 with an optional NUL at its end. Returns `undefined` for any other bytes. */
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

/** Returns untrusted text on one line, without control characters, and cut to {@linkcode LONGEST_TEXT}. */
export function shown(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ").trim();
  return line.length > LONGEST_TEXT ? `${line.slice(0, LONGEST_TEXT)}…` : line;
}

/** Returns the first bytes in hexadecimal, and the number of all bytes if some are left out. */
export function preview(bytes: Uint8Array): string {
  if (bytes.length === 0) return "no data";
  return bytes.length <= SHOWN_BYTES ? hex(bytes) : `${hex(bytes.subarray(0, SHOWN_BYTES))}… (${bytes.length} bytes)`;
}

/** Returns a GUID in its text form. Its first three fields are little-endian in the bytes. */
export function guidText(bytes: Uint8Array): string {
  const text = [[3, 2, 1, 0], [5, 4], [7, 6], [8, 9], [10, 11, 12, 13, 14, 15]];
  return text.map((octets) => octets.map((i) => (bytes[i] ?? 0).toString(16).padStart(2, "0")).join("")).join("-");
}
