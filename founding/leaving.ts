/**
 * The end of a founder: F goes, and with it everything that F may be needed for.
 *
 * @module
 */
import { join } from "node:path";
import { utf8 } from "../platform/bytes.ts";
import { exists, removeIfExists, writeFileAtomic } from "../platform/files.ts";
import { DATA_FOLDER, STARTED_FILE, TRUSTED_FILE } from "./etcd_process.ts";
import { DECISION_FILE } from "./founder_journal.ts";
import { PLEDGE_FILE } from "./pledge.ts";
import { ROSTER_FILE } from "./roster.ts";

/** It says that the founder's files are being removed. */
const LEAVING_FILE = "leaving";
/** F goes first: without it, what is left can do nothing. The file `complete` stays, for the join service. */
const REMOVED = [
  "key.pem",
  "staged",
  "certificate.pem",
  PLEDGE_FILE,
  ROSTER_FILE,
  DECISION_FILE,
  TRUSTED_FILE,
  DATA_FOLDER,
];

/** Removes F, the pledge, the roster and etcd's data. etcd has ended. */
export async function removeFounder(folder: string): Promise<void> {
  if (!await exists(folder)) return;
  await writeFileAtomic(join(folder, LEAVING_FILE), utf8("version 1\n"), { mode: 0o600 });
  for (const name of [...REMOVED, STARTED_FILE]) await removeIfExists(join(folder, name));
  await removeIfExists(join(folder, LEAVING_FILE));
}

/**
 * Removes what a process left that was killed while it removed a founder. It is called before F is read or made: else a
 * key could be there without its pledge, and pledge again.
 *
 * @returns Whether there was something to remove.
 */
export async function finishLeaving(folder: string): Promise<boolean> {
  if (!await exists(join(folder, LEAVING_FILE))) return false;
  await removeFounder(folder);
  return true;
}
