/**
 * The run folder of a node. Everything in it is secret, belongs to the bootstrapper, and lasts for one join or one
 * process.
 *
 * @module
 */
import { join } from "node:path";
import { emptyFolder } from "../platform/files.ts";
import { NODE_KEY_FILES } from "../protocol/node_keys.ts";

/** The path of the ticket's kubeconfig in the bootstrapper's own folder on a tmpfs. */
export function discoveryPath(runFolder: string): string {
  return join(runFolder, "discovery.conf");
}

/**
 * Removes what a killed process left: its ticket, its files for kubeadm, and half-written keys. The keys of a join
 * under way stay. Call it only before anything works with the folder.
 *
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export function removeLeftovers(runFolder: string): Promise<void> {
  return emptyFolder(runFolder, NODE_KEY_FILES.map((name) => join(runFolder, name)));
}

/**
 * Removes the ticket and the keys of a join, and everything else that is left. A member does not need them, however it
 * became one.
 *
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export function removeJoinSecrets(runFolder: string): Promise<void> {
  return emptyFolder(runFolder);
}
