/**
 * The reader of untrusted bytes in fixed layouts: firmware logs, TPM responses, quotes, images.
 *
 * @module
 */
import type { Bytes } from "./bytes.ts";
import { copyOf, isZero } from "./bytes.ts";
import type { BootstrapError } from "./errors.ts";

/** The properties of a byte format. */
export interface ByteFormat {
  /** The order of an integer's octets: most or least significant first. */
  readonly order: "big-endian" | "little-endian";
  /**
   * Creates the format's `malformed/…` error from the structure's name and a reason that follows "Cannot read … as".
   */
  readonly error: (what: string, reason: string) => BootstrapError;
}

/**
 * Reads fields in sequence.
 *
 * Every method throws the format's error if too few bytes remain or a value is not allowed. The error names the field,
 * its offset, and the expected and actual values. No method allocates more memory than the remaining bytes.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  readonly #format: ByteFormat;
  readonly #isLittle: boolean;
  /** The offset of these bytes in the outermost structure, for errors. */
  #base = 0;
  #offset = 0;

  /**
   * Creates a reader at the first byte.
   *
   * @param bytes The bytes to read.
   * @param what The structure's name, for errors.
   * @param format The structure's octet order and error.
   */
  constructor(bytes: Uint8Array, what: string, format: ByteFormat) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
    this.#format = format;
    this.#isLittle = format.order === "little-endian";
  }

  /** The number of bytes that have been read. */
  get offset(): number {
    return this.#offset;
  }

  /** The number of bytes that have not been read. */
  get remaining(): number {
    return Math.max(0, this.#bytes.length - this.#offset);
  }

  /** Reads an unsigned integer of one octet. */
  u8(field: string): number {
    return this.#view.getUint8(this.#advance(1, field));
  }

  /** Reads an unsigned integer of two octets. */
  u16(field: string): number {
    return this.#view.getUint16(this.#advance(2, field), this.#isLittle);
  }

  /** Reads an unsigned integer of four octets. */
  u32(field: string): number {
    return this.#view.getUint32(this.#advance(4, field), this.#isLittle);
  }

  /** Reads an unsigned integer of eight octets. */
  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#advance(8, field), this.#isLittle);
  }

  /** Reads exactly `length` bytes; returns a copy. */
  bytes(length: number, field: string): Bytes {
    return copyOf(this.#take(length, field));
  }

  /** Reads all remaining bytes; returns a copy. */
  rest(field: string): Bytes {
    return this.bytes(this.remaining, field);
  }

  /** Reads a length of two octets, at most `maximum`, and as many bytes; returns a copy of the bytes. */
  sized16(maximum: number, field: string): Bytes {
    return this.#sized(this.u16(`length of ${field}`), maximum, field);
  }

  /** Reads a length of four octets, at most `maximum`, and as many bytes; returns a copy of the bytes. */
  sized32(maximum: number, field: string): Bytes {
    return this.#sized(this.u32(`length of ${field}`), maximum, field);
  }

  /** Skips `length` bytes without checking them. */
  skip(length: number, field: string): void {
    this.#advance(length, field);
  }

  /** Skips `length` bytes, which must be zero. */
  zeros(length: number, field: string): void {
    const at = this.#base + this.#offset;
    const bytes = this.#take(length, field);
    if (!isZero(bytes)) throw this.error(`"${field}" at offset ${at} must be ${length} zeros: it is ${bytes.toHex()}`);
  }

  /** Takes the next `length` bytes, and returns a reader of those bytes only. */
  part(length: number, field: string): ByteReader {
    const base = this.#base + this.#offset;
    const reader = new ByteReader(this.#take(length, field), this.#what, this.#format);
    reader.#base = base;
    return reader;
  }

  /**
   * Returns a second reader of the same bytes that begins at `offset`. An offset beyond the last byte leaves nothing to
   * read.
   */
  at(offset: number): ByteReader {
    const reader = new ByteReader(this.#bytes, this.#what, this.#format);
    reader.#base = this.#base;
    reader.#offset = offset;
    return reader;
  }

  /** Throws if bytes remain. */
  end(): void {
    if (this.remaining === 0) return;
    throw this.error(`it must end at offset ${this.#base + this.#offset}: ${this.remaining} bytes follow it`);
  }

  /** Creates the format's error for a value of this structure that is not allowed. */
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
