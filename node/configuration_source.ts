/**
 * Where a node's configuration comes from.
 *
 * @module
 */
import { join } from "node:path";
import type { EvidenceKind } from "../attestation/kind.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import { MAXIMUM_DOCUMENT_BYTES } from "../platform/document.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readFile, readFileIfExists } from "../platform/files.ts";
import type { NodeConfiguration } from "./configuration.ts";
import { readNodeConfiguration } from "./configuration.ts";
import type { NodePaths } from "./paths.ts";

/** The name of the systemd credential that carries a configuration. */
export const CONFIGURATION_CREDENTIAL = "bootstrapper.config";

/** Where to look for a configuration. */
export interface ConfigurationPlaces {
  /** `--config`. */
  readonly file?: string;
  /** `$CREDENTIALS_DIRECTORY`, which systemd sets for units with `LoadCredential=`. */
  readonly credentialsFolder?: string;
  readonly paths: Pick<NodePaths, "configuration" | "systemCredentials">;
  /** The known kinds of evidence. */
  readonly kinds?: readonly EvidenceKind[];
}

/** A configuration and the file that it comes from. */
export interface LoadedConfiguration {
  readonly source: string;
  readonly configuration: NodeConfiguration;
}

/**
 * Finds and reads this node's configuration. The first of these files that exists is used alone; files are never
 * merged:
 *
 * 1. the file that `--config` names, which must exist,
 * 2. the unit's credential `$CREDENTIALS_DIRECTORY/bootstrapper.config`,
 * 3. the machine's credential `/run/credentials/@system/bootstrapper.config` (from SMBIOS or fw_cfg; used when a person
 *    runs a command),
 * 4. `/etc/bootstrapper/config.yaml`.
 *
 * @throws {BootstrapError} `usage/no-configuration`, `system/file`, and the errors of `readNodeConfiguration()`.
 */
export async function loadNodeConfiguration(places: ConfigurationPlaces): Promise<LoadedConfiguration> {
  const { file, credentialsFolder, paths, kinds } = places;
  if (file !== undefined) return load(file, await readFile(file, MAXIMUM_DOCUMENT_BYTES), kinds);
  const candidates = [
    ...(credentialsFolder === undefined ? [] : [join(credentialsFolder, CONFIGURATION_CREDENTIAL)]),
    join(paths.systemCredentials, CONFIGURATION_CREDENTIAL),
    paths.configuration,
  ];
  for (const candidate of candidates) {
    const bytes = await readFileIfExists(candidate, MAXIMUM_DOCUMENT_BYTES);
    if (bytes !== undefined) return load(candidate, bytes, kinds);
  }
  throw new BootstrapError("usage/no-configuration", `This node has no configuration: no ${candidates.join(", no ")}`, {
    next:
      `Give the machine the credential "${CONFIGURATION_CREDENTIAL}", or write ${paths.configuration}, or use --config`,
  });
}

function load(source: string, bytes: Uint8Array, kinds?: readonly EvidenceKind[]): LoadedConfiguration {
  return { source, configuration: readNodeConfiguration(fromUtf8(bytes, source), source, kinds) };
}
