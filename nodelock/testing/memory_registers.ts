import type { MeasurementRegisters } from "../../attestation/evidence.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { sha256 } from "../../platform/bytes.ts";

/** Registers for tests: as a TPM's, but in memory, and they count. */
export class MemoryRegisters implements MeasurementRegisters {
  /** How often any register was extended. */
  extensions = 0;
  readonly #values = new Map<number, Bytes>();

  /** Reads a register. */
  read(index: number): Promise<Bytes> {
    return Promise.resolve(this.#values.get(index) ?? new Uint8Array(32));
  }

  /** Extends a register. */
  async extend(index: number, digest: Uint8Array): Promise<void> {
    this.extensions++;
    this.#values.set(index, await sha256(await this.read(index), digest));
  }
}
