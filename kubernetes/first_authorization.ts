/**
 * The AuthorizationConfiguration of a new control plane, without which its API server does not start. Its join service
 * keeps it true from then on.
 *
 * @module
 */
import { basename, join } from "node:path";
import type { CutState } from "./authorization_configuration.ts";
import {
  AUTHORIZATION_FILE,
  AUTHORIZATION_FOLDER,
  readCutState,
  writeAuthorizationConfiguration,
} from "./authorization_configuration.ts";
import { FIRST_EPOCH } from "./epochs.ts";
import { exists } from "../platform/files.ts";

/** What the API servers of a new cluster refuse: nodes whose certificates name no epoch, or a later one than the next. */
const FIRST_STATE: CutState = Object.freeze({ epochs: [FIRST_EPOCH, FIRST_EPOCH + 1], cut: [] });

/** Whether a control plane has an AuthorizationConfiguration. */
export function hasAuthorization(kubernetesFolder: string): Promise<boolean> {
  return exists(join(folderIn(kubernetesFolder), AUTHORIZATION_FILE));
}

/**
 * Writes the configuration of a cluster's first control plane, unless there is one that can be read.
 *
 * @throws {BootstrapError} `system/file`.
 */
export async function installFirstAuthorization(kubernetesFolder: string): Promise<void> {
  if (await readCutState(folderIn(kubernetesFolder)).catch(() => undefined) !== undefined) return;
  await installAuthorization(kubernetesFolder, FIRST_STATE);
}

/**
 * Writes the configuration of a control plane that joins.
 *
 * @param state What the API servers of the cluster refuse.
 * @throws {BootstrapError} `malformed/cut-list`, `system/file`.
 */
export async function installAuthorization(kubernetesFolder: string, state: CutState): Promise<void> {
  await writeAuthorizationConfiguration(folderIn(kubernetesFolder), state);
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
