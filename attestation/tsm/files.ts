/**
 * The folder of configfs-tsm: entries that are made and removed, whose attributes are files.
 *
 * @module
 */
import { join } from "node:path";
import type { Bytes } from "../../platform/bytes.ts";
import { exists, readFileIfExists } from "../../platform/files.ts";

/** What is done in the folder. Names are single path elements. */
export interface TsmFiles {
  /** The process that makes entries here. */
  readonly processId: number;
  /** The names of all entries, or `undefined` if there is no such folder. */
  entries(): Promise<readonly string[] | undefined>;
  /** Makes an entry, whose name must be free. */
  makeEntry(name: string): Promise<void>;
  /** Removes an entry. */
  removeEntry(name: string): Promise<void>;
  /** An attribute, or `undefined` if the entry has none of that name. */
  read(name: string, attribute: string, maximumBytes: number): Promise<Bytes | undefined>;
  /** Writes an attribute, at once. */
  write(name: string, attribute: string, bytes: Bytes): Promise<void>;
  /** Whether a process is there. */
  isRunning(processId: number): Promise<boolean>;
}

/** The kernel's own. `processes` is the folder that has one of each running process. */
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
    // Its attributes vanish with it, and cannot be removed themselves.
    removeEntry: (name) => Deno.remove(join(folder, name)),
    read: (name, attribute, maximumBytes) => readFileIfExists(join(folder, name, attribute), maximumBytes),
    async write(name, attribute, bytes) {
      using file = await Deno.open(join(folder, name, attribute), { write: true });
      // configfs takes what one write gives, and a binary attribute takes effect when it is closed.
      const written = await file.write(bytes);
      if (written !== bytes.length) throw new Error(`${written} of ${bytes.length} bytes were written`);
    },
    isRunning: (processId) => exists(join(processes, String(processId))),
  };
}
