/**
 * The writer of bytes in fixed layouts, the counterpart of `byte_reader.ts`.
 *
 * @module
 */
import type { ByteFormat } from "./byte_reader.ts";
import type { Bytes } from "./bytes.ts";
import { concat } from "./bytes.ts";
import { BootstrapError } from "./errors.ts";

/** Writes fields in sequence. A number that does not fit its octets is a defect, `internal/byte-field`. */
export class ByteWriter {
  readonly #order: ByteFormat["order"];
  readonly #parts: Uint8Array[] = [];

  /** Creates an empty writer. */
  constructor(order: ByteFormat["order"]) {
    this.#order = order;
  }

  /** Writes an unsigned integer of one octet. */
  u8(value: number): this {
    return this.#integer(value, 1);
  }

  /** Writes an unsigned integer of two octets. */
  u16(value: number): this {
    return this.#integer(value, 2);
  }

  /** Writes an unsigned integer of four octets. */
  u32(value: number): this {
    return this.#integer(value, 4);
  }

  /** Writes the bytes without a length. */
  bytes(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  /** Writes the length in two octets, then the bytes. */
  sized16(bytes: Uint8Array): this {
    return this.u16(bytes.length).bytes(bytes);
  }

  /** Writes the length in four octets, then the bytes. */
  sized32(bytes: Uint8Array): this {
    return this.u32(bytes.length).bytes(bytes);
  }

  /** Returns all written bytes. */
  done(): Bytes {
    return concat(...this.#parts);
  }

  #integer(value: number, octets: number): this {
    if (!Number.isInteger(value) || value < 0 || value >= 256 ** octets) {
      throw new BootstrapError("internal/byte-field", `Cannot write ${value} in ${octets} octets`);
    }
    const bytes = Uint8Array.from({ length: octets }, (_, i) => Math.floor(value / 256 ** i) % 256);
    return this.bytes(this.#order === "little-endian" ? bytes : bytes.reverse());
  }
}
