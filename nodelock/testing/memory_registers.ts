import type { MeasurementRegisters } from "../../attestation/evidence.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { sha256 } from "../../platform/bytes.ts";

/** Registers for tests. They behave like a TPM's, but are in memory, and they count extensions. */
export class MemoryRegisters implements MeasurementRegisters {
  /** The number of extensions of all registers. */
  extensions = 0;
  readonly #values = new Map<number, Bytes>();

  read(index: number): Promise<Bytes> {
    return Promise.resolve(this.#values.get(index) ?? new Uint8Array(32));
  }

  async extend(index: number, digest: Uint8Array): Promise<void> {
    this.extensions++;
    this.#values.set(index, await sha256(await this.read(index), digest));
  }
}
