/**
 * A strict reader of DER (ITU-T X.690) for untrusted bytes.
 *
 * It knows the smallest subset that certificates and requests need. Every value has exactly one encoding: the reader
 * refuses indefinite or non-minimal lengths, constructed strings, tag numbers above 30, padded integers, odd booleans,
 * unsorted sets and leftovers, even in parts that no caller reads.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { compareBytes, copyOf } from "../platform/bytes.ts";
import { derError, hexOctet, oidText, TAG, textOf, timeOf } from "./_der_values.ts";

export { derError, TAG };

/** The identifier octet of the context-specific tag `[number]`, constructed or primitive. */
export function contextTag(number: number, form: "constructed" | "primitive"): number {
  return 0x80 | number | (form === "constructed" ? CONSTRUCTED : 0);
}

/** One element. All its byte arrays are views into the input. */
export interface DerElement {
  /** The identifier octet: class, form and number. */
  readonly tag: number;
  /** Identifier, length and content. */
  readonly bytes: Uint8Array;
  /** Without identifier and length. */
  readonly content: Uint8Array;
}

/** A BIT STRING. */
export interface DerBits {
  readonly bytes: Uint8Array;
  /** The number of unused low bits in the last octet, 0 to 7. These bits are zero. */
  readonly unused: number;
}

/** The default limit of an input: 64 KiB, far above any certificate. */
export const MAXIMUM_DER_BYTES = 1 << 16;

const CONSTRUCTED = 0x20;
const CLASS_MASK = 0xc0;
const NUMBER_MASK = 0x1f;
const MAXIMUM_DEPTH = 16;
/**
 * The limit of an INTEGER: an RSA modulus of 8192 bits and an octet for the sign. Serial numbers have 20 octets (RFC
 * 5280).
 */
const MAXIMUM_INTEGER_BYTES = 1025;

/**
 * Reads the elements of one content, in order. Every method throws `malformed/der` if the next element is not the one
 * it expects.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  /** Callers use {@linkcode readDer} instead, which checks the bytes first. */
  constructor(checked: Uint8Array, what: string) {
    this.#bytes = checked;
    this.#what = what;
  }

  /** Whether all elements have been read. */
  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** Refuses leftovers. */
  end(): void {
    if (!this.atEnd) throw derError(this.#what, "something follows its last element");
  }

  /** Reports whether the next element has this identifier octet. */
  next(tag: number): boolean {
    return !this.atEnd && this.#bytes[this.#offset] === tag;
  }

  /** Reads the next element. With `tag`, the element must have that identifier octet. */
  element(tag?: number): DerElement {
    if (this.atEnd) throw derError(this.#what, "an element is missing");
    if (tag !== undefined && !this.next(tag)) {
      const seen = this.#bytes[this.#offset] ?? 0;
      throw derError(this.#what, `tag ${hexOctet(tag)} was expected: current value is ${hexOctet(seen)}`);
    }
    const element = elementAt(this.#bytes, this.#offset, this.#what);
    this.#offset += element.bytes.length;
    return element;
  }

  /** Reads the next element, by default a SEQUENCE, and returns a reader of the elements inside. */
  inside(tag: number = TAG.sequence): DerReader {
    return new DerReader(this.element(tag).content, this.#what);
  }

  /**
   * Reads the elements of a SET OF. DER requires ascending order of their encodings (X.690, 11.6).
   *
   * @param order `any` for names of vendors that do not sort them.
   */
  setOf(order: "ascending" | "any" = "ascending"): DerElement[] {
    const reader = this.inside(TAG.set);
    const elements: DerElement[] = [];
    while (!reader.atEnd) {
      const element = reader.element();
      const before = elements.at(-1);
      if (order === "ascending" && before !== undefined && compareBytes(before.bytes, element.bytes) > 0) {
        throw derError(this.#what, "a SET OF is not in order");
      }
      elements.push(element);
    }
    return elements;
  }

  /** Reads a BOOLEAN, which is 00 or FF. */
  boolean(): boolean {
    const { content } = this.element(TAG.boolean);
    const [value] = content;
    if (content.length !== 1 || (value !== 0x00 && value !== 0xff)) {
      throw derError(this.#what, "a BOOLEAN is neither 00 nor FF");
    }
    return value === 0xff;
  }

  /** Reads the content of an INTEGER: two's complement, most significant octet first, minimal. */
  integer(): Bytes {
    const { content } = this.element(TAG.integer);
    const [first, second] = content;
    if (first === undefined) throw derError(this.#what, "an INTEGER is empty");
    if (content.length > MAXIMUM_INTEGER_BYTES) throw derError(this.#what, "an INTEGER is too long");
    if (second !== undefined && ((first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80))) {
      throw derError(this.#what, "an INTEGER is padded");
    }
    return copyOf(content);
  }

  /** Reads a non-negative INTEGER without its sign octet. Zero is one octet 00. */
  unsigned(): Bytes {
    const content = this.integer();
    if ((content[0] ?? 0) >= 0x80) throw derError(this.#what, "an INTEGER is negative");
    return content.length > 1 && content[0] === 0 ? content.slice(1) : content;
  }

  /** Reads an INTEGER from 0 to `maximum`, which must be below 2³². */
  small(maximum: number): number {
    const content = this.unsigned();
    const value = content.reduce((sum, octet) => sum * 256 + octet, 0);
    if (content.length > 4 || value > maximum) throw derError(this.#what, `an INTEGER is above ${maximum}`);
    return value;
  }

  /** Reads a BIT STRING whose unused bits are zero. */
  bits(): DerBits {
    const { content } = this.element(TAG.bitString);
    const [unused] = content;
    const bytes = content.subarray(1);
    if (unused === undefined) throw derError(this.#what, "a BIT STRING is empty");
    if (unused > 7 || (unused > 0 && bytes.length === 0)) {
      throw derError(this.#what, "a BIT STRING has a bad number of unused bits");
    }
    if (((bytes.at(-1) ?? 0) & ((1 << unused) - 1)) !== 0) {
      throw derError(this.#what, "an unused bit of a BIT STRING is set");
    }
    return { bytes, unused };
  }

  /** Reads a BIT STRING of whole octets, as in keys and signatures. */
  octetBits(): Bytes {
    const { bytes, unused } = this.bits();
    if (unused !== 0) throw derError(this.#what, "a BIT STRING is not of whole octets");
    return copyOf(bytes);
  }

  /**
   * Reads a BIT STRING of named bits. DER ends it at the last bit that is set (X.690, 11.2.2).
   *
   * @param end `any` for vendors that write trailing zero bits.
   * @returns The numbers of the set bits. Bit 0 is the most significant bit of the first octet.
   */
  namedBits(end: "minimal" | "any" = "minimal"): Set<number> {
    const { bytes, unused } = this.bits();
    if (end === "minimal" && bytes.length > 0 && ((bytes.at(-1) ?? 0) >> unused & 1) === 0) {
      throw derError(this.#what, "a BIT STRING of named bits ends in a zero bit");
    }
    const set = new Set<number>();
    for (let bit = 0; bit < bytes.length * 8 - unused; bit++) {
      if (((bytes[bit >> 3] ?? 0) >> (7 - bit % 8) & 1) === 1) set.add(bit);
    }
    return set;
  }

  /** Reads an OCTET STRING. */
  octets(): Bytes {
    return copyOf(this.element(TAG.octetString).content);
  }

  /** Reads an OBJECT IDENTIFIER in dotted form. */
  oid(): string {
    return oidText(this.element(TAG.oid).content, this.#what);
  }

  /** Reads a UTF8String, PrintableString or IA5String. */
  text(): string {
    const { tag, content } = this.element();
    return textOf(tag, content, this.#what);
  }

  /**
   * Reads a UTCTime or GeneralizedTime with seconds and `Z`.
   *
   * @param choice `by-year` requires UTCTime exactly for the years 1950 to 2049 (RFC 5280, 4.1.2.5); `any` accepts
   *   either.
   */
  time(choice: "by-year" | "any" = "by-year"): Date {
    const { tag, content } = this.element();
    const time = timeOf(tag, content, this.#what);
    const year = time.getUTCFullYear();
    if (choice === "by-year" && tag === TAG.generalizedTime && year >= 1950 && year < 2050) {
      throw derError(this.#what, "a time of the years 1950 to 2049 is a GeneralizedTime");
    }
    return time;
  }
}

/**
 * Reads bytes that must be exactly one DER element. It checks the whole tree first.
 *
 * @param bytes The encoding.
 * @param what The name of the field, for errors.
 * @param maximumBytes Longer input is refused unread.
 * @throws {BootstrapError} `malformed/der`, with the field and the broken rule.
 */
export function readDer(bytes: Uint8Array, what: string, maximumBytes: number = MAXIMUM_DER_BYTES): DerReader {
  if (bytes.length > maximumBytes) throw derError(what, `it is longer than ${maximumBytes} bytes`);
  if (elementAt(bytes, 0, what).bytes.length !== bytes.length) throw derError(what, "something follows it");
  checkTree(bytes, what, 0);
  return new DerReader(bytes, what);
}

function elementAt(bytes: Uint8Array, offset: number, what: string): DerElement {
  const tag = bytes[offset];
  const first = bytes[offset + 1];
  if (tag === undefined || first === undefined) throw derError(what, "it is cut off");
  let start = offset + 2;
  let length = first;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0) throw derError(what, "a length is indefinite");
    // Two octets reach 65,535, which no input exceeds by much. Three octets are enough for any limit.
    if (count > 3) throw derError(what, "a length is too large");
    if (bytes[start] === 0) throw derError(what, "a length is padded");
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[start + i] ?? 0);
    start += count;
    if (length < 0x80) throw derError(what, "a length is not in its short form");
  }
  if (start + length > bytes.length) throw derError(what, "it is cut off");
  return { tag, bytes: bytes.subarray(offset, start + length), content: bytes.subarray(start, start + length) };
}

function checkTree(content: Uint8Array, what: string, depth: number): void {
  if (depth > MAXIMUM_DEPTH) throw derError(what, `it is nested more than ${MAXIMUM_DEPTH} deep`);
  for (let offset = 0; offset < content.length;) {
    const element = elementAt(content, offset, what);
    checkTag(element.tag, what);
    if ((element.tag & CONSTRUCTED) !== 0) checkTree(element.content, what, depth + 1);
    offset += element.bytes.length;
  }
}

function checkTag(tag: number, what: string): void {
  const number = tag & NUMBER_MASK;
  if (number === NUMBER_MASK) throw derError(what, "a tag number is above 30");
  if ((tag & CLASS_MASK) !== 0) return;
  if (number === 0) throw derError(what, "a tag is 0");
  const isCollection = number === (TAG.sequence & NUMBER_MASK) || number === (TAG.set & NUMBER_MASK);
  if (isCollection !== ((tag & CONSTRUCTED) !== 0)) {
    throw derError(what, `tag ${hexOctet(tag)} has the wrong form, primitive or constructed`);
  }
}
