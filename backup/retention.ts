/**
 * Backups in a folder: their names, and which of them are kept.
 *
 * @module
 */
import { join } from "node:path";
import { equalBytes } from "../platform/bytes.ts";
import { hasCode } from "../platform/errors.ts";
import { removeIfExists } from "../platform/files.ts";
import { present } from "../platform/present.ts";
import { readHeadOf } from "./backup_file.ts";
import type { BackupSubject } from "./backup_head.ts";

/** How many backups are kept. The newest one always is. */
export interface Retention {
  /** The most backups. Default: all. */
  readonly count?: number;
  /** The greatest age, milliseconds. Default: any. */
  readonly ageMs?: number;
}

const NAME = /^[a-z0-9-]{1,63}-\d{8}T\d{6}Z\.backup$/;
/** What a killed writer left behind: see `writeStreamAtomic()`. */
const PART = /^\.[a-z0-9-]{1,63}-\d{8}T\d{6}Z\.backup\.[0-9a-f]{16}\.tmp$/;
/** No backup takes so long. */
const PART_LIFE_MS = 24 * 3_600_000;

/** The name of a backup's file in a folder, such as `prod-20261201T120000Z.backup`. */
export function backupName({ clusterName, createdAt }: BackupSubject): string {
  return `${clusterName}-${createdAt.toISOString().replace(/[-:]|\.\d+/g, "")}.backup`;
}

/**
 * Removes the backups of one cluster that are not kept, and what killed writers left behind more than a day ago. Other
 * files are not touched: those of other names, of other clusters, and those that cannot be read.
 *
 * @param newest The backup that was just made.
 * @returns The paths of the backups that were removed.
 * @throws {BootstrapError} `system/file`.
 */
export async function applyRetention(folder: string, newest: BackupSubject, kept: Retention): Promise<string[]> {
  const now = newest.createdAt.getTime();
  const found: { readonly path: string; readonly ageMs: number }[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isFile && PART.test(name)) await removeOldPart(path, now);
    if (!isFile || !NAME.test(name)) continue;
    const head = await readHeadOf(path).catch((error) => {
      if (hasCode(error, "malformed/backup", "system/file", "usage/backup-recipient")) return undefined;
      throw error;
    });
    if (head === undefined || !equalBytes(head.clusterId, newest.clusterId)) continue;
    found.push({ path, ageMs: now - head.createdAt.getTime() });
  }
  found.sort((one, other) => one.ageMs - other.ageMs);
  const { count = Infinity, ageMs = Infinity } = { ...present("count", kept.count), ...present("ageMs", kept.ageMs) };
  const removed = found.filter((backup, index) => backup.ageMs > 0 && (index >= count || backup.ageMs > ageMs));
  for (const { path } of removed) await removeIfExists(path);
  return removed.map(({ path }) => path);
}

async function removeOldPart(path: string, now: number): Promise<void> {
  const { mtime } = await Deno.stat(path);
  if (mtime !== null && now - mtime.getTime() > PART_LIFE_MS) await removeIfExists(path);
}
