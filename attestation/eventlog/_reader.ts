/**
 * Reading little-endian structures, as PC firmware writes them.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { copyOf } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";

/** Reads fields one after the other; every method throws `malformed/event-log` where the bytes are too few. */
export class LogReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
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
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  /** How many bytes are not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /** One octet. */
  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  /** Two octets. */
  u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  /** Four octets. */
  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** Eight octets. */
  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  /** A copy of exactly `length` bytes. */
  bytes(length: number): Bytes {
    const start = this.#advance(length);
    return copyOf(this.#bytes.subarray(start, start + length));
  }

  /** Refuses leftovers. */
  end(): void {
    if (this.remaining !== 0) throw logError(this.#what, `${this.remaining} bytes follow it`);
  }

  #advance(length: number): number {
    if (length > this.remaining) {
      throw logError(this.#what, `${length} bytes are wanted where ${this.remaining} are left`);
    }
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}

/** The error for bytes that do not have their form. */
export function logError(what: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/event-log", `Cannot read "${what}" as ${reason}`, { details: { field: what } });
}
