/**
 * The lock file: the node lock on disk.
 *
 * @module
 */
import { join } from "node:path";
import type { StagedFile } from "../platform/files.ts";
import { readFileIfExists, removeTemporaries, stageFile, syncFile } from "../platform/files.ts";
import type { LockRecord } from "./record.ts";
import { decodeLockRecord, encodeLockRecord, MAXIMUM_FILE_BYTES } from "./record.ts";

/** The lock is not secret, so every user can read the file. */
const LOCK_FILE_MODE = 0o644;

/** The lock file of a state folder. */
export class LockFile {
  readonly path: string;

  /** Creates the lock file's object for `folder`, which must exist. */
  constructor(folder: string) {
    this.path = join(folder, "node.lock");
  }

  /**
   * Reads the lock. Returns `undefined` if there is none.
   *
   * @throws {BootstrapError} `malformed/…` for a file that is not a lock, `system/file`.
   */
  async read(): Promise<LockRecord | undefined> {
    const bytes = await readFileIfExists(this.path, MAXIMUM_FILE_BYTES);
    return bytes === undefined ? undefined : await decodeLockRecord(bytes, this.path);
  }

  /**
   * Reads the lock like {@linkcode read}, and syncs it so that it survives a power cut. The process that linked the
   * file may have been killed before its sync, so every reader syncs.
   */
  async readDurably(): Promise<LockRecord | undefined> {
    const record = await this.read();
    if (record !== undefined) await syncFile(this.path);
    return record;
  }

  /** Writes the whole lock, synced, under a temporary name. Linking the file takes the node. */
  async stage(record: LockRecord): Promise<StagedFile> {
    return await stageFile(this.path, await encodeLockRecord(record), { mode: LOCK_FILE_MODE });
  }

  /** Removes the temporary files of killed contenders. The caller must hold the run lock. */
  async removeLeftovers(): Promise<void> {
    await removeTemporaries(this.path);
  }
}
