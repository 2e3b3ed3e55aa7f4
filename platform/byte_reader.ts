/**
 * The one reader of untrusted bytes in fixed layouts: firmware's logs, a TPM's answers, quotes, images.
 *
 * @module
 */
import type { Bytes } from "./bytes.ts";
import { copyOf, isZero } from "./bytes.ts";
import type { BootstrapError } from "./errors.ts";

/** What tells one format of bytes from another. */
export interface ByteFormat {
  /** Whether the most or the least significant octet of an integer comes first. */
  readonly order: "big-endian" | "little-endian";
  /** Makes the format's error, a `malformed/…`, of the structure's name and the reason, which follows "Cannot read … as". */
  readonly error: (what: string, reason: string) => BootstrapError;
}

/**
 * Reads fields one after the other.
 *
 * Every method throws the format's error if the bytes are too few, or are not what it asks for. The error names the field,
 * its offset, what was expected and what is there; no method allocates more than the bytes that are left.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  readonly #format: ByteFormat;
  readonly #isLittle: boolean;
  /** Where the bytes begin in the outermost structure, for errors. */
  #base = 0;
  #offset = 0;

  /**
   * Begins at the first byte.
   *
   * @param bytes What is read.
   * @param what The structure, for errors.
   * @param format Its order of octets, and its error.
   */
  constructor(bytes: Uint8Array, what: string, format: ByteFormat) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
    this.#format = format;
    this.#isLittle = format.order === "little-endian";
  }

  /** How many bytes are read. */
  get offset(): number {
    return this.#offset;
  }

  /** How many bytes are not read yet. */
  get remaining(): number {
    return Math.max(0, this.#bytes.length - this.#offset);
  }

  /** One octet. */
  u8(field: string): number {
    return this.#view.getUint8(this.#advance(1, field));
  }

  /** Two octets. */
  u16(field: string): number {
    return this.#view.getUint16(this.#advance(2, field), this.#isLittle);
  }

  /** Four octets. */
  u32(field: string): number {
    return this.#view.getUint32(this.#advance(4, field), this.#isLittle);
  }

  /** Eight octets. */
  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#advance(8, field), this.#isLittle);
  }

  /** A copy of exactly `length` bytes. */
  bytes(length: number, field: string): Bytes {
    return copyOf(this.#take(length, field));
  }

  /** A copy of all bytes that are left. */
  rest(field: string): Bytes {
    return this.bytes(this.remaining, field);
  }

  /** A length in two octets, which must be at most `maximum`, and a copy of so many bytes. */
  sized16(maximum: number, field: string): Bytes {
    return this.#sized(this.u16(`length of ${field}`), maximum, field);
  }

  /** A length in four octets, which must be at most `maximum`, and a copy of so many bytes. */
  sized32(maximum: number, field: string): Bytes {
    return this.#sized(this.u32(`length of ${field}`), maximum, field);
  }

  /** Passes over `length` bytes that nothing here looks at. */
  skip(length: number, field: string): void {
    this.#advance(length, field);
  }

  /** Passes over `length` bytes that must be zero. */
  zeros(length: number, field: string): void {
    const at = this.#base + this.#offset;
    const bytes = this.#take(length, field);
    if (!isZero(bytes)) throw this.error(`"${field}" at offset ${at} must be ${length} zeros: it is ${bytes.toHex()}`);
  }

  /** A reader of the next `length` bytes alone, of the same structure. */
  part(length: number, field: string): ByteReader {
    const base = this.#base + this.#offset;
    const reader = new ByteReader(this.#take(length, field), this.#what, this.#format);
    reader.#base = base;
    return reader;
  }

  /** A second reader of the same bytes, which begins at an offset; behind the last byte it has nothing to give. */
  at(offset: number): ByteReader {
    const reader = new ByteReader(this.#bytes, this.#what, this.#format);
    reader.#base = this.#base;
    reader.#offset = offset;
    return reader;
  }

  /** Refuses leftovers. */
  end(): void {
    if (this.remaining === 0) return;
    throw this.error(`it must end at offset ${this.#base + this.#offset}: ${this.remaining} bytes follow it`);
  }

  /** The format's error about this structure, for what its values must be. */
  error(reason: string): BootstrapError {
    return this.#format.error(this.#what, reason);
  }

  #sized(length: number, maximum: number, field: string): Bytes {
    if (length > maximum) {
      const at = this.#base + this.#offset;
      throw this.error(`"${field}" at offset ${at} must have at most ${maximum} bytes: it has ${length}`);
    }
    return this.bytes(length, field);
  }

  #take(length: number, field: string): Uint8Array {
    const start = this.#advance(length, field);
    return this.#bytes.subarray(start, start + length);
  }

  #advance(length: number, field: string): number {
    if (!(this.#offset + length <= this.#bytes.length)) {
      const at = this.#base + this.#offset;
      throw this.error(`"${field}" at offset ${at} must have ${length} bytes: ${this.remaining} are left`);
    }
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}
