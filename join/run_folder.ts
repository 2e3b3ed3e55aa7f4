/**
 * The run folder of a node: all in it is secret, ours, and for the time of a join or of one process.
 *
 * @module
 */
import { join } from "node:path";
import { emptyFolder } from "../platform/files.ts";
import { NODE_KEY_FILES } from "../protocol/node_keys.ts";

/**
 * Removes what a killed process left: its ticket, what it gave to kubeadm, keys that were only half written. The keys of a join
 * under way stay. Only before anybody works with the folder.
 *
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export function removeLeftovers(runFolder: string): Promise<void> {
  return emptyFolder(runFolder, NODE_KEY_FILES.map((name) => join(runFolder, name)));
}

/**
 * Removes the ticket and the keys of a join, which a member has no use for, whoever made it one, and whatever else is left.
 *
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export function removeJoinSecrets(runFolder: string): Promise<void> {
  return emptyFolder(runFolder);
}
