/**
 * The values inside DER elements: texts, times, OIDs.
 *
 * @module
 */
import { fromUtf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";

/** Identifier octets (X.690, 8.1.2) of the universal types that this reader knows. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

const MAXIMUM_OID_BYTES = 64;

/**
 * The text of a string element (UTF8String, PrintableString or IA5String), checked against the alphabet of its type.
 */
export function textOf(tag: number, content: Uint8Array, what: string): string {
  const text = fromUtf8(content, what);
  if (tag === TAG.utf8String) return text;
  if (tag === TAG.ia5String) {
    // deno-lint-ignore no-control-regex -- an IA5String holds ASCII only (X.680, 41).
    if (!/^[\x00-\x7f]*$/.test(text)) throw derError(what, "an IA5String has a character outside ASCII");
    return text;
  }
  if (tag === TAG.printableString) {
    if (!/^[A-Za-z0-9 '()+,./:=?-]*$/.test(text)) {
      throw derError(what, "a PrintableString has a character outside its alphabet");
    }
    return text;
  }
  throw derError(what, `a string was expected: current tag is ${hexOctet(tag)}`);
}

/** The time of a UTCTime or GeneralizedTime with seconds and `Z`. A UTCTime covers the years 1950 to 2049. */
export function timeOf(tag: number, content: Uint8Array, what: string): Date {
  if (tag !== TAG.utcTime && tag !== TAG.generalizedTime) {
    throw derError(what, `a time was expected: current tag is ${hexOctet(tag)}`);
  }
  const digits = tag === TAG.utcTime ? 12 : 14;
  const text = fromUtf8(content, what);
  if (text.length !== digits + 1 || !/^\d+Z$/.test(text)) throw derError(what, "a time is not in its strict form");
  const century = tag === TAG.utcTime ? (Number(text.slice(0, 2)) < 50 ? "20" : "19") : "";
  const full = century + text.slice(0, digits);
  const iso = full.replace(/^(....)(..)(..)(..)(..)(..)$/, "$1-$2-$3T$4:$5:$6.000Z");
  const date = new Date(iso);
  // The comparison refuses times that Date would roll over, such as the 30th of February or 24:00.
  if (Number.isNaN(date.getTime()) || date.toISOString() !== iso) throw derError(what, "a time does not exist");
  return date;
}

/** The content of an OBJECT IDENTIFIER in dotted form. */
export function oidText(content: Uint8Array, what: string): string {
  if (content.length === 0 || content.length > MAXIMUM_OID_BYTES) throw derError(what, "an OID has a bad length");
  const arcs: bigint[] = [];
  let value = 0n;
  let atStart = true;
  for (const octet of content) {
    if (atStart && octet === 0x80) throw derError(what, "an OID is padded");
    value = value << 7n | BigInt(octet & 0x7f);
    atStart = (octet & 0x80) === 0;
    if (!atStart) continue;
    arcs.push(value);
    value = 0n;
  }
  if (!atStart) throw derError(what, "an OID is cut off");
  const [first = 0n, ...rest] = arcs;
  const root = first < 80n ? first / 40n : 2n;
  return [root, first - root * 40n, ...rest].join(".");
}

/** Formats an octet as two hexadecimal digits. */
export function hexOctet(octet: number): string {
  return octet.toString(16).padStart(2, "0");
}

/** The error that every reader in this folder throws. */
export function derError(what: string, rule: string): BootstrapError {
  return new BootstrapError("malformed/der", `Cannot read "${what}" as ${rule}`, { details: { field: what } });
}
