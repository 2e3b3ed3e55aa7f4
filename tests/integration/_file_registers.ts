import type { MeasurementRegisters } from "../../attestation/evidence.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { sha256 } from "../../platform/bytes.ts";

/** Registers in a file, which outlive a process as a TPM's do. Removing the file is a reboot. */
export class FileRegisters implements MeasurementRegisters {
  readonly #path: string;
  readonly #onStep: (name: string) => void;

  /** Registers in `path`; `onStep` is called with the name of every command, before and after it. */
  constructor(path: string, onStep: (name: string) => void = () => {}) {
    this.#path = path;
    this.#onStep = onStep;
  }

  /** Reads a register. */
  read(index: number): Promise<Bytes> {
    this.#onStep("read");
    const value = this.#load()[index];
    this.#onStep("read");
    return Promise.resolve(value === undefined ? new Uint8Array(32) : Uint8Array.fromHex(value));
  }

  /** Extends a register, as one step. */
  async extend(index: number, digest: Uint8Array): Promise<void> {
    const value = (await sha256(await this.read(index), digest)).toHex();
    Deno.writeTextFileSync(`${this.#path}.new`, JSON.stringify({ ...this.#load(), [index]: value }));
    Deno.renameSync(`${this.#path}.new`, this.#path);
    this.#onStep("extend");
  }

  #load(): Readonly<Record<number, string>> {
    try {
      return JSON.parse(Deno.readTextFileSync(this.#path)) as Readonly<Record<number, string>>;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return {};
      throw error;
    }
  }
}
