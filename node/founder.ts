/**
 * Whether a founder is still the only node of its cluster, by its own disk alone: the cluster may be down.
 *
 * @module
 */
import { join } from "node:path";
import { LockFile } from "../nodelock/file.ts";
import { utf8 } from "../platform/bytes.ts";
import { exists, writeFileAtomic } from "../platform/files.ts";
import { hasMadeTickets } from "../service/first_ticket.ts";
import { hasJoinService } from "./join_service_install.ts";
import type { NodePaths } from "./paths.ts";

/**
 * The file that says that each join service of this machine recorded its first ticket. A founder of an earlier version
 * lacks it: it may have made tickets that nothing tells of.
 */
const FOUNDER_FILE = "founder";

/** Records, before the first join service starts here, that tickets will be recorded. May be repeated. */
export function recordFounder(stateFolder: string): Promise<void> {
  return writeFileAtomic(join(stateFolder, FOUNDER_FILE), utf8("1\n"), { mode: 0o644 });
}

/**
 * Whether this node founded its cluster, and has let no other node in. It is false if that is not certain.
 */
export async function isAloneInItsCluster(paths: NodePaths): Promise<boolean> {
  const lock = await new LockFile(paths.state).read().catch(() => undefined);
  if (lock?.owner !== "init") return false;
  // Without a join service there was nobody to ask for a ticket.
  if (!await hasJoinService(paths.joinService)) return true;
  return await exists(join(paths.state, FOUNDER_FILE)) && !await hasMadeTickets(paths.joinSigner);
}
