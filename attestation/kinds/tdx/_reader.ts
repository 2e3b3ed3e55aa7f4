/**
 * Little-endian fields, one after the other, as Intel's structures have them.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { copyOf } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";

/** Reads fields; every method throws `malformed/tdx-…` where the bytes are too few. */
export class LittleEndianReader {
  readonly #bytes: Uint8Array;
  readonly #what: TdxStructure;
  #offset = 0;

  /** Begins at the first byte of a structure, which errors name. */
  constructor(bytes: Uint8Array, what: TdxStructure) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** How many bytes are not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /** How many bytes are read. */
  get offset(): number {
    return this.#offset;
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
      throw structureError(this.#what, `${length} bytes are wanted where ${this.remaining} are left`);
    }
    this.#offset += length;
    return copyOf(this.#bytes.subarray(this.#offset - length, this.#offset));
  }

  /** A reader of the next `length` bytes alone. */
  part(length: number): LittleEndianReader {
    return new LittleEndianReader(this.bytes(length), this.#what);
  }

  /** Refuses leftovers. */
  end(): void {
    if (this.remaining !== 0) throw structureError(this.#what, `${this.remaining} bytes too many are in it`);
  }

  #integer(octets: number): bigint {
    return this.bytes(octets).reduceRight((value, octet) => value * 256n + BigInt(octet), 0n);
  }
}

/** What is read; the error's code names it. */
export type TdxStructure = "quote" | "evidence" | "collateral";

/** The error for bytes that do not have their form: `malformed/tdx-quote`, `malformed/tdx-evidence`, `malformed/tdx-collateral`. */
export function structureError(what: TdxStructure, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError(`malformed/tdx-${what}`, `Cannot read "TDX ${what}" as ${reason}`, {
    details: { field: `TDX ${what}` },
    ...(cause === undefined ? {} : { cause }),
  });
}
