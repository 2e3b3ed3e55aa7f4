/**
 * Whether a join service of this machine has ever made certificates for another node, on its own disk. A founder whose
 * etcd is down can be reset without a loss for others only as long as it has not.
 *
 * @module
 */
import { join } from "node:path";
import { utf8 } from "../platform/bytes.ts";
import { createFileExclusive, ensureFolder, exists } from "../platform/files.ts";

/** The file, beside the kept policy. */
const FIRST_TICKET_FILE = "first-ticket";
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** Whether a ticket was ever made by the service that keeps its files in this folder. */
export function hasMadeTickets(folder: string): Promise<boolean> {
  return exists(join(folder, FIRST_TICKET_FILE));
}

/**
 * Returns a function that records the first ticket. It must have returned before a ticket leaves the service.
 *
 * @param folder The service must be able to write there.
 */
export function firstTicketRecorder(folder: string, now: () => Date): () => Promise<void> {
  let isRecorded = false;
  return async () => {
    if (isRecorded) return;
    await ensureFolder(folder, FOLDER_MODE);
    const text = utf8(`${now().toISOString()}\n`);
    await createFileExclusive(join(folder, FIRST_TICKET_FILE), text, { mode: FILE_MODE });
    isRecorded = true;
  };
}
