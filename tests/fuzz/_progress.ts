/**
 * What a process is at, in a file, so that another one knows it when the first hangs or dies: whether an input is being fed (1
 * octet), how many were (4), the input's length (4) and the input.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";

const HEADER_BYTES = 9;

/** Writes it. */
export class ProgressWriter {
  readonly #file: Deno.FsFile;
  #count = 0;

  /** Makes the file. */
  constructor(path: string) {
    this.#file = Deno.openSync(path, { write: true, create: true });
  }

  /** An input is fed from now on. */
  before(input: Bytes): void {
    const bytes = new Uint8Array(HEADER_BYTES + input.length);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, 1);
    view.setUint32(1, ++this.#count);
    view.setUint32(5, input.length);
    bytes.set(input, HEADER_BYTES);
    this.#write(bytes);
  }

  /** It ended. */
  after(): void {
    this.#write(Uint8Array.of(0));
  }

  #write(bytes: Uint8Array): void {
    this.#file.seekSync(0, Deno.SeekMode.Start);
    for (let written = 0; written < bytes.length;) written += this.#file.writeSync(bytes.subarray(written));
  }
}

/** What a process was at. */
export interface Progress {
  /** Whether an input was being fed. */
  readonly isFeeding: boolean;
  /** How many were. */
  readonly count: number;
  /** The last one. */
  readonly input: Bytes;
}

/** Reads it; nothing before the first input. */
export async function readProgress(path: string): Promise<Progress | undefined> {
  let bytes: Bytes;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer);
  const input = bytes.slice(HEADER_BYTES, HEADER_BYTES + view.getUint32(5));
  return { isFeeding: view.getUint8(0) === 1, count: view.getUint32(1), input };
}
