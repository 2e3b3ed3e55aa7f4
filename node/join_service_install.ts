/**
 * Installs the join service of a new control plane: its credentials, its state and its unit.
 *
 * @module
 */
import { issueServiceCertificate } from "../certificate/ca.ts";
import type { CertificateAuthority } from "../certificate/ca.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import type { ClusterTrust } from "../protocol/transcript.ts";
import { hasServiceState, replaceEarlierCertificate, writeServiceState } from "../service/service_state.ts";
import { JOIN_SERVICE_UNITS } from "./join_service_units.ts";
import { LOOPBACK_API_ENDPOINT } from "../kubernetes/documents.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { runOrThrow } from "../platform/command.ts";
import { removeIfExists, renameFolder } from "../platform/files.ts";
import { hostAndPort } from "../platform/host.ts";
import type { Founding } from "../proto/gen/bootstrapper.ts";

/** The port on which join services listen. */
export const JOIN_SERVICE_PORT = 9444;
const SYSTEMCTL_DEADLINE_MS = 120_000;

/** What {@linkcode installJoinService} needs. */
export interface JoinServiceInstallation {
  /** The service's folder; the unit starts only if it exists. */
  readonly folder: string;
  /** The node, which the service's certificate names. */
  readonly nodeName: string;
  readonly address: string;
  readonly trust: ClusterTrust;
  readonly clock: Pick<Clock, "now">;
  /** Runs systemctl. */
  readonly commands: CommandRunner;
}

/** The facts about its cluster that a join service needs. */
export interface JoinServiceCluster {
  /** The cluster's CA with its key, which signs the service's certificate. */
  readonly ca: CertificateAuthority;
  /** The operators' signed statements about the cluster. */
  readonly foundings: readonly Founding[];
  /** The founding token's statement, if the cluster has one. */
  readonly tokenFounding?: Uint8Array;
  /** The policy, as YAML. */
  readonly policyDocument: string;
  /** The cluster's settings, as YAML. */
  readonly clusterDocument: string;
  /** The API server's endpoints, `host:port`. */
  readonly apiEndpoints: readonly string[];
  /** The join services' endpoints, `host:port`. */
  readonly joinEndpoints: readonly string[];
}

/** The folder of a service that must not start yet. */
const stagedFolder = (folder: string) => `${folder}.staged`;

/** Writes the service's credentials and state, and starts it. A repeated call restarts the service. */
export async function installJoinService(parts: JoinServiceInstallation, cluster: JoinServiceCluster): Promise<void> {
  await writeState(parts.folder, parts, cluster);
  await restart(parts);
}

/**
 * Writes the service's credentials and state for a later start, to a folder that the unit does not see. May be
 * repeated.
 */
export async function stageJoinService(parts: JoinServiceInstallation, cluster: JoinServiceCluster): Promise<void> {
  const staged = stagedFolder(parts.folder);
  await removeIfExists(staged);
  await writeState(staged, parts, cluster);
}

/** Returns the folder of the service that is staged, or `undefined`. */
export async function stagedJoinService(folder: string): Promise<string | undefined> {
  const staged = stagedFolder(folder);
  return await hasServiceState(staged) ? staged : undefined;
}

/** Whether a service is staged or installed. */
export async function hasJoinService(folder: string): Promise<boolean> {
  return await hasServiceState(stagedFolder(folder)) || await hasServiceState(folder);
}

/** Starts the staged service. May be repeated. */
export async function startStagedJoinService(
  parts: Pick<JoinServiceInstallation, "folder" | "commands">,
): Promise<void> {
  const { folder } = parts;
  if (await hasServiceState(stagedFolder(folder))) {
    await removeIfExists(folder);
    await renameFolder(stagedFolder(folder), folder);
  }
  await restart(parts);
}

/**
 * Gives an installed service of an earlier version a new key and certificate, with the cluster's CA on this control
 * plane's disk, and starts it. Does nothing where there is no service, or one with a certificate of today. May be
 * repeated.
 *
 * @throws {BootstrapError} The errors of `replaceEarlierCertificate()` and of the CA's files; `system/command`.
 */
export async function upgradeJoinService(
  { folder, nodeName, clock, commands }: Pick<JoinServiceInstallation, "folder" | "nodeName" | "clock" | "commands">,
  readCa: () => Promise<CertificateAuthority>,
): Promise<boolean> {
  if (!await hasServiceState(folder)) return false;
  const isReplaced = await replaceEarlierCertificate(
    folder,
    `https://${LOOPBACK_API_ENDPOINT}`,
    async (spki) => issueServiceCertificate(await readCa(), nodeName, spki, clock.now()),
  );
  if (isReplaced) await restart({ commands });
  return isReplaced;
}

async function writeState(
  folder: string,
  { nodeName, address, trust, clock }: JoinServiceInstallation,
  { ca, foundings, ...documents }: JoinServiceCluster,
): Promise<void> {
  const keys = await generateKeyPair("p-256");
  const certificate = await issueServiceCertificate(ca, nodeName, keys.spki, clock.now());
  await writeServiceState(folder, {
    keys,
    certificate: certificate.der,
    caCertificate: ca.certificate.der,
    foundings,
    trust: { ...trust, clusterId: await clusterIdOf(ca.certificate) },
    ...documents,
    listen: hostAndPort(address, JOIN_SERVICE_PORT),
    apiServer: `https://${LOOPBACK_API_ENDPOINT}`,
  });
}

/** Does not wait for the service to be ready: the service itself waits for the API server. */
async function restart({ commands }: Pick<JoinServiceInstallation, "commands">): Promise<void> {
  await runOrThrow(commands, ["systemctl", "restart", "--no-block", ...JOIN_SERVICE_UNITS], {
    deadlineMs: SYSTEMCTL_DEADLINE_MS,
  });
}
