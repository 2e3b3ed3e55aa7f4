/**
 * Where a node's configuration comes from.
 *
 * @module
 */
import { join } from "node:path";
import type { EvidenceKind } from "../attestation/kind.ts";
import { documentText, MAXIMUM_DOCUMENT_BYTES } from "../platform/document.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readFile, readFileIfExists } from "../platform/files.ts";
import type { NodeConfiguration } from "./configuration.ts";
import { readNewNodeConfiguration, readNodeConfiguration } from "./configuration.ts";
import type { FirmwareData } from "./host_credentials.ts";
import { CONFIGURATION_CREDENTIAL, hostCredential } from "./host_credentials.ts";
import type { NodePaths } from "./paths.ts";

/** Where to look for a configuration. */
export interface ConfigurationPlaces {
  /** `--config`. */
  readonly file?: string;
  /** `$CREDENTIALS_DIRECTORY`, which systemd sets for units with `LoadCredential=`. */
  readonly credentialsFolder?: string;
  /** What the machine's host hands over. */
  readonly firmware: FirmwareData;
  readonly paths: Pick<NodePaths, "configuration">;
  /** The known kinds of evidence. */
  readonly kinds?: readonly EvidenceKind[];
  /** Whether the node is fresh, and what no fresh node may have is refused. Default: the node may be a member. */
  readonly isFresh?: boolean;
}

/** A configuration and where it comes from. */
export interface LoadedConfiguration {
  readonly source: string;
  readonly configuration: NodeConfiguration;
}

/**
 * Finds and reads this node's configuration. The first of these that exists is used alone; they are never merged:
 *
 * 1. the file that `--config` names, which must exist,
 * 2. the unit's credential `$CREDENTIALS_DIRECTORY/bootstrapper.config`, where systemd hands one to the unit,
 * 3. the credential `bootstrapper.config` of the machine's host, by SMBIOS, then by fw_cfg,
 * 4. `/etc/bootstrapper/config.yaml`.
 *
 * @throws {BootstrapError} `usage/no-configuration`, `system/file`, and the errors of `hostCredential()` and
 *   `readNodeConfiguration()`.
 */
export async function loadNodeConfiguration(places: ConfigurationPlaces): Promise<LoadedConfiguration> {
  const { file, credentialsFolder, firmware, paths } = places;
  if (file !== undefined) return load(file, await readFile(file, MAXIMUM_DOCUMENT_BYTES), places);
  if (credentialsFolder !== undefined) {
    const path = join(credentialsFolder, CONFIGURATION_CREDENTIAL);
    const bytes = await readFileIfExists(path, MAXIMUM_DOCUMENT_BYTES);
    if (bytes !== undefined) return load(path, bytes, places);
  }
  const given = hostCredential(firmware, CONFIGURATION_CREDENTIAL);
  if (given !== undefined) return load(given.source, given.bytes, places);
  const bytes = await readFileIfExists(paths.configuration, MAXIMUM_DOCUMENT_BYTES);
  if (bytes !== undefined) return load(paths.configuration, bytes, places);
  const message =
    `This node has no configuration: no credential ${CONFIGURATION_CREDENTIAL}, no ${paths.configuration}`;
  throw new BootstrapError("usage/no-configuration", message, {
    next: `Give the machine the credential "${CONFIGURATION_CREDENTIAL}" by SMBIOS or fw_cfg, or write ` +
      `${paths.configuration}, or use --config`,
  });
}

function load(
  source: string,
  bytes: Uint8Array,
  { kinds, isFresh = false }: Pick<ConfigurationPlaces, "kinds" | "isFresh">,
): LoadedConfiguration {
  const read = isFresh ? readNewNodeConfiguration : readNodeConfiguration;
  return { source, configuration: read(documentText(bytes, source), source, kinds) };
}
