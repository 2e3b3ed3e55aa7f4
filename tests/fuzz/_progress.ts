/**
 * A file with the progress of a process, which another process reads when the first one hangs or dies: whether an input
 * is being fed (1 byte), how many inputs were fed (4), the input's length (4) and the input.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";

const HEADER_BYTES = 9;

/** Writes the progress. */
export class ProgressWriter {
  readonly #file: Deno.FsFile;
  #count = 0;

  constructor(path: string) {
    this.#file = Deno.openSync(path, { write: true, create: true });
  }

  /** Records that this input is now being fed. */
  before(input: Bytes): void {
    const bytes = new Uint8Array(HEADER_BYTES + input.length);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, 1);
    view.setUint32(1, ++this.#count);
    view.setUint32(5, input.length);
    bytes.set(input, HEADER_BYTES);
    this.#write(bytes);
  }

  /** Records that the input has ended. */
  after(): void {
    this.#write(Uint8Array.of(0));
  }

  #write(bytes: Uint8Array): void {
    this.#file.seekSync(0, Deno.SeekMode.Start);
    for (let written = 0; written < bytes.length;) written += this.#file.writeSync(bytes.subarray(written));
  }
}

/** The progress of a process. */
export interface Progress {
  /** Whether an input is being fed. */
  readonly isFeeding: boolean;
  /** The number of inputs so far. */
  readonly count: number;
  /** The latest input. */
  readonly input: Bytes;
}

/** Reads the progress; undefined before the first input. */
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
