/**
 * The wire format of a TPM 2.0: big-endian integers, and byte strings with a 16-bit length in front (TPM 2.0 Part 2, TPM2B).
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, copyOf } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";

/** Writes fields one after the other. */
export class TpmWriter {
  readonly #parts: Uint8Array[] = [];

  /** One octet. */
  u8(value: number): this {
    return this.#integer(value, 1);
  }

  /** Two octets. */
  u16(value: number): this {
    return this.#integer(value, 2);
  }

  /** Four octets. */
  u32(value: number): this {
    return this.#integer(value, 4);
  }

  /** The bytes as they are. */
  bytes(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  /** A TPM2B: the length in two octets, then the bytes. */
  sized(bytes: Uint8Array): this {
    return this.#integer(bytes.length, 2).bytes(bytes);
  }

  /** All that was written. */
  done(): Bytes {
    return concat(...this.#parts);
  }

  #integer(value: number, octets: number): this {
    if (!Number.isInteger(value) || value < 0 || value >= 256 ** octets) {
      throw new BootstrapError("internal/tpm-field", `Cannot write ${value} in ${octets} octets`);
    }
    return this.bytes(Uint8Array.from({ length: octets }, (_, i) => Math.floor(value / 256 ** (octets - 1 - i)) % 256));
  }
}

/** Reads fields one after the other; every method throws `malformed/tpm` where the bytes are too few. */
export class TpmReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  /**
   * Begins at the first byte.
   *
   * @param bytes What is read.
   * @param what The structure, for errors.
   */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** How many bytes are not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /** One octet. */
  u8(): number {
    return Number(this.#integer(1));
  }

  /** Two octets. */
  u16(): number {
    return Number(this.#integer(2));
  }

  /** Four octets. */
  u32(): number {
    return Number(this.#integer(4));
  }

  /** Eight octets. */
  u64(): bigint {
    return this.#integer(8);
  }

  /** Exactly `length` bytes. */
  bytes(length: number): Bytes {
    if (length > this.remaining) {
      throw tpmError(this.#what, `${length} bytes are wanted where ${this.remaining} are left`);
    }
    this.#offset += length;
    return copyOf(this.#bytes.subarray(this.#offset - length, this.#offset));
  }

  /** A TPM2B of at most `maximum` bytes, which may be empty. */
  sized(maximum: number): Bytes {
    const length = this.u16();
    if (length > maximum) {
      throw tpmError(this.#what, `a field of ${length} bytes is longer than ${maximum}`);
    }
    return this.bytes(length);
  }

  /** Refuses leftovers. */
  end(): void {
    if (this.remaining !== 0) throw tpmError(this.#what, `${this.remaining} bytes follow it`);
  }

  #integer(octets: number): bigint {
    return this.bytes(octets).reduce((value, octet) => value * 256n + BigInt(octet), 0n);
  }
}

/** The error for bytes that do not have their form. */
export function tpmError(what: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/tpm", `Cannot read "${what}" as ${reason}`, {
    details: { field: what },
    ...(cause === undefined ? {} : { cause }),
  });
}
