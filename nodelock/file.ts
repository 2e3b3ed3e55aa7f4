/**
 * The lock file: the node lock as it is on disk.
 *
 * @module
 */
import { join } from "node:path";
import type { StagedFile } from "../platform/files.ts";
import { readFileIfExists, removeTemporaries, stageFile, syncFile } from "../platform/files.ts";
import type { LockRecord } from "./record.ts";
import { decodeLockRecord, encodeLockRecord, MAXIMUM_RECORD_LENGTH } from "./record.ts";

/** Readable by everybody: the lock is no secret. */
const LOCK_FILE_MODE = 0o644;

/** The lock file of a state folder. */
export class LockFile {
  /** Where it is. */
  readonly path: string;

  /** The lock file of `folder`, which exists. */
  constructor(folder: string) {
    this.path = join(folder, "node.lock");
  }

  /**
   * What the lock says, or `undefined` if there is none.
   *
   * @throws {BootstrapError} `malformed/…` for a file that is no lock, `system/file`.
   */
  async read(): Promise<LockRecord | undefined> {
    const bytes = await readFileIfExists(this.path, MAXIMUM_RECORD_LENGTH);
    return bytes === undefined ? undefined : await decodeLockRecord(bytes, this.path);
  }

  /**
   * {@linkcode read}, and what it gave stays after a power cut. Whoever linked the file may have been killed before the
   * disk had it, so every finder syncs.
   */
  async readDurably(): Promise<LockRecord | undefined> {
    const record = await this.read();
    if (record !== undefined) await syncFile(this.path);
    return record;
  }

  /** Writes the lock, whole and synced, under a temporary name; linking it takes the node. */
  async stage(record: LockRecord): Promise<StagedFile> {
    return await stageFile(this.path, await encodeLockRecord(record), { mode: LOCK_FILE_MODE });
  }

  /** Removes what killed contenders left behind. Only while holding the run lock. */
  async removeLeftovers(): Promise<void> {
    await removeTemporaries(this.path);
  }
}
