/**
 * The folder of configfs-tsm. Its entries are created and removed, and their attributes are files.
 *
 * @module
 */
import { join } from "node:path";
import type { Bytes } from "../../platform/bytes.ts";
import { exists, readFileIfExists } from "../../platform/files.ts";

/** The operations on the folder. Names are single path elements. */
export interface TsmFiles {
  /** The ID of this process, which creates the entries. */
  readonly processId: number;
  /** Returns the names of all entries, or `undefined` if the folder does not exist. */
  entries(): Promise<readonly string[] | undefined>;
  /** Creates an entry. Its name must be free. */
  makeEntry(name: string): Promise<void>;
  /** Removes an entry. */
  removeEntry(name: string): Promise<void>;
  /** Reads an attribute. Returns `undefined` if the entry does not have it. */
  read(name: string, attribute: string, maximumBytes: number): Promise<Bytes | undefined>;
  /** Writes an attribute in a single write. */
  write(name: string, attribute: string, bytes: Bytes): Promise<void>;
  /** Whether a process exists. */
  isRunning(processId: number): Promise<boolean>;
}

/**
 * Returns the operations on the kernel's folder. `processes` is the folder with a subfolder for each running process.
 */
export function systemTsmFiles(folder: string, processes = "/proc"): TsmFiles {
  return {
    processId: Deno.pid,
    async entries() {
      try {
        return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    },
    makeEntry: (name) => Deno.mkdir(join(folder, name)),
    // The kernel removes an entry's attributes with it; they cannot be removed separately.
    removeEntry: (name) => Deno.remove(join(folder, name)),
    read: (name, attribute, maximumBytes) => readFileIfExists(join(folder, name, attribute), maximumBytes),
    async write(name, attribute, bytes) {
      using file = await Deno.open(join(folder, name, attribute), { write: true });
      // configfs takes the value from a single write. A binary attribute takes effect when the file is closed.
      const written = await file.write(bytes);
      if (written !== bytes.length) throw new Error(`${written} of ${bytes.length} bytes were written`);
    },
    isRunning: (processId) => exists(join(processes, String(processId))),
  };
}
