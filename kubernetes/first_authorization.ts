/**
 * The first AuthorizationConfiguration of a control plane, without which its API server does not start. The join
 * service keeps it true from then on.
 *
 * @module
 */
import { basename, join } from "node:path";
import type { CutState } from "./authorization_configuration.ts";
import {
  AUTHORIZATION_FILE,
  AUTHORIZATION_FOLDER,
  MOST_EPOCHS,
  readCutState,
  writeAuthorizationConfiguration,
} from "./authorization_configuration.ts";
import { exists } from "../platform/files.ts";

/** Whether a control plane has an AuthorizationConfiguration. */
export function hasAuthorization(kubernetesFolder: string): Promise<boolean> {
  return exists(join(folderIn(kubernetesFolder), AUTHORIZATION_FILE));
}

/**
 * Writes a configuration that cuts nothing, unless there is one that can be read.
 *
 * @param epoch The epoch of new certificates. Earlier ones and the next one are accepted too: it is not known yet which
 *   the cluster has left, and refusing all its nodes would be worse than a cut list that comes seconds later.
 * @throws {BootstrapError} `system/file`.
 */
export async function installFirstAuthorization(kubernetesFolder: string, epoch: number): Promise<void> {
  const folder = folderIn(kubernetesFolder);
  if (await readCutState(folder).catch(() => undefined) !== undefined) return;
  const count = Math.min(epoch, MOST_EPOCHS - 1);
  const epochs = Array.from({ length: count }, (_, index) => epoch - count + 1 + index);
  await writeAuthorizationConfiguration(folder, { epochs: [...epochs, epoch + 1], cut: [] });
}

/**
 * Reads what the API server of this control plane refuses; `undefined` if there is no configuration.
 *
 * @throws {BootstrapError} As `readCutState()`.
 */
export function readOwnCutState(kubernetesFolder: string): Promise<CutState | undefined> {
  return readCutState(folderIn(kubernetesFolder));
}

function folderIn(kubernetesFolder: string): string {
  return join(kubernetesFolder, basename(AUTHORIZATION_FOLDER));
}
