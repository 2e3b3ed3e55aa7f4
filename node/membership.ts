/**
 * Records on disk that a bootstrap has succeeded.
 *
 * @module
 */
import { join } from "node:path";
import type { Clock } from "../platform/clock.ts";
import { utf8 } from "../platform/bytes.ts";
import { exists, writeFileAtomic } from "../platform/files.ts";

/** Whether this node's bootstrap has succeeded. */
export function isMember(stateFolder: string): Promise<boolean> {
  return exists(markerPath(stateFolder));
}

/** Records that this node is a member of its cluster. */
export function recordMembership(stateFolder: string, clock: Pick<Clock, "now">): Promise<void> {
  return writeFileAtomic(markerPath(stateFolder), utf8(`${clock.now().toISOString()}\n`), { mode: 0o644 });
}

function markerPath(stateFolder: string): string {
  return join(stateFolder, "member");
}
