/**
 * Writes DER (ITU-T X.690), the counterpart of the reader in `der.ts`. Each function returns one complete element.
 *
 * @module
 */
import { TAG } from "./_der_values.ts";
import type { Bytes } from "../platform/bytes.ts";
import { concat, utf8 } from "../platform/bytes.ts";

/** From this length on, DER writes the number of the length's octets first (X.690, 8.1.3). */
const LONG_FORM = 0x80;
const MAXIMUM_CONTENT_BYTES = 0xffff;
const OCTET = 0x100;
const SEPTET = 0x80;
/** An OID's first two arcs are one number: 40 times the first, plus the second (X.690, 8.19.4). */
const ARCS_OF_A_ROOT = 40;
/** From this year on, a time is a GeneralizedTime (RFC 5280, 4.1.2.5). */
const FIRST_YEAR_OF_GENERALIZED_TIME = 2050;

/**
 * Writes an element.
 *
 * @param tag The identifier octet.
 * @param contents The content, in parts.
 * @throws RangeError for a content of 64 KiB and more, which nothing here has.
 */
export function derElement(tag: number, ...contents: readonly Uint8Array[]): Bytes {
  const length = contents.reduce((sum, part) => sum + part.length, 0);
  if (length > MAXIMUM_CONTENT_BYTES) throw new RangeError("Cannot write an element of more than 65,535 octets");
  const header = length < LONG_FORM
    ? [tag, length]
    : length < OCTET
    ? [tag, LONG_FORM | 1, length]
    : [tag, LONG_FORM | 2, length >> 8, length & 0xff];
  return concat(Uint8Array.from(header), ...contents);
}

/** Writes a SEQUENCE of elements. */
export function derSequence(...elements: readonly Uint8Array[]): Bytes {
  return derElement(TAG.sequence, ...elements);
}

/** The years that UTCTime and GeneralizedTime of a certificate can show (RFC 5280, 4.1.2.5). */
const [FIRST_YEAR, LAST_YEAR] = [1950, 9999];
const OID = /^[0-2](?:\.(?:0|[1-9][0-9]{0,9}))+$/;

/** Writes a non-negative INTEGER. @param value Most significant octet first; zeros in front are left out. */
export function derUnsigned(value: Uint8Array): Bytes {
  const first = value.findIndex((octet) => octet !== 0);
  const minimal = first < 0 ? Uint8Array.of(0) : value.subarray(first);
  const sign = (minimal[0] ?? 0) >= 0x80 ? Uint8Array.of(0) : new Uint8Array();
  return derElement(TAG.integer, sign, minimal);
}

/** Writes an INTEGER from 0 to 2³² - 1. */
export function derNumber(value: number): Bytes {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, value);
  return derUnsigned(octets);
}

/** Writes a BOOLEAN. */
export function derBoolean(value: boolean): Bytes {
  return derElement(TAG.boolean, Uint8Array.of(value ? 0xff : 0x00));
}

/** Writes a BIT STRING. @param unused The number of low bits of the last octet that do not count; they are zero. */
export function derBits(bytes: Uint8Array, unused = 0): Bytes {
  if (!(unused >= 0 && unused < 8)) throw new RangeError(`No octet has ${unused} unused bits`);
  return derElement(TAG.bitString, Uint8Array.of(unused), bytes);
}

/** Writes an OCTET STRING. */
export function derOctets(bytes: Uint8Array): Bytes {
  return derElement(TAG.octetString, bytes);
}

/** Writes a UTF8String. */
export function derText(text: string): Bytes {
  return derElement(TAG.utf8String, utf8(text));
}

/** Writes an OBJECT IDENTIFIER. @param oid In dotted form, of arcs below 2³¹. */
export function derOid(oid: string): Bytes {
  if (!OID.test(oid)) throw new RangeError(`"${oid}" is no object identifier`);
  const [root = 0, second = 0, ...rest] = oid.split(".").map(Number);
  return derElement(TAG.oid, Uint8Array.from([root * ARCS_OF_A_ROOT + second, ...rest].flatMap(septets)));
}

/** Writes a time in whole seconds: UTCTime until 2049, GeneralizedTime from 2050 on (RFC 5280, 4.1.2.5). */
export function derTime(time: Date): Bytes {
  const year = time.getUTCFullYear();
  if (!(year >= FIRST_YEAR && year <= LAST_YEAR)) throw new RangeError(`A certificate has no time ${String(time)}`);
  const digits = time.toISOString().replace(/\.\d+Z$/, "").replace(/\D/g, "");
  const isLate = year >= FIRST_YEAR_OF_GENERALIZED_TIME;
  return derElement(isLate ? TAG.generalizedTime : TAG.utcTime, utf8(`${isLate ? digits : digits.slice(2)}Z`));
}

/** A number in groups of seven bits; all octets but the last have their highest bit set. */
function septets(arc: number): number[] {
  const octets = [arc % SEPTET];
  for (let rest = Math.floor(arc / SEPTET); rest > 0; rest = Math.floor(rest / SEPTET)) {
    octets.unshift(SEPTET | rest % SEPTET);
  }
  return octets;
}

/** Writes an AlgorithmIdentifier: an OID and its parameters, if it has any. */
export function derAlgorithm(oid: string, ...parameters: readonly Uint8Array[]): Bytes {
  return derSequence(derOid(oid), ...parameters);
}
