/**
 * Makes the join service of a new control plane: credentials of its own, its state, its unit.
 *
 * @module
 */
import { issueServiceCertificate } from "../certificate/ca.ts";
import type { CertificateAuthority } from "../certificate/ca.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import type { TrustPart } from "../protocol/transcript.ts";
import { hasServiceState, writeServiceState } from "../service/service_state.ts";
import { ownApiEndpoint } from "../kubernetes/documents.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { runOrThrow } from "../platform/command.ts";
import { removeIfExists, renameFolder } from "../platform/files.ts";
import { hostAndPort } from "../platform/host.ts";
import type { Founding } from "../proto/gen/bootstrapper.ts";

/** The port of the join services. */
export const JOIN_SERVICE_PORT = 9444;
const UNIT = "bootstrapper-join-service.service";
const SYSTEMCTL_DEADLINE_MS = 120_000;

/** What {@linkcode installJoinService} needs. */
export interface JoinServiceInstallation {
  /** The folder that the unit starts on. */
  readonly folder: string;
  /** The node's address. */
  readonly address: string;
  /** The node's own trust part. */
  readonly trust: TrustPart;
  /** Time. */
  readonly clock: Pick<Clock, "now">;
  /** Runs systemctl. */
  readonly commands: CommandRunner;
}

/** What a join service is to know of its cluster. */
export interface JoinServiceCluster {
  /** The cluster's CA, with its key: it signs the service's certificate. */
  readonly ca: CertificateAuthority;
  /** What the operators say of the cluster. */
  readonly foundings: readonly Founding[];
  /** YAML: the policy. */
  readonly policyDocument: string;
  /** YAML: the cluster's settings. */
  readonly clusterDocument: string;
  /** Where nodes reach the API server, `host:port`. */
  readonly apiEndpoints: readonly string[];
  /** Where nodes reach join services, `host:port`. */
  readonly joinEndpoints: readonly string[];
}

/** The folder of a service that is not to start yet. */
const stagedFolder = (folder: string) => `${folder}.staged`;

/** Writes the service's credentials and state, and starts it. May be done again: it restarts the service. */
export async function installJoinService(parts: JoinServiceInstallation, cluster: JoinServiceCluster): Promise<void> {
  await writeState(parts.folder, parts, cluster);
  await restart(parts);
}

/** Writes the service's credentials and state for a start to come; its unit does not see them. May be done again. */
export async function stageJoinService(parts: JoinServiceInstallation, cluster: JoinServiceCluster): Promise<void> {
  const staged = stagedFolder(parts.folder);
  await removeIfExists(staged);
  await writeState(staged, parts, cluster);
}

/** Whether there is a service that is staged or started. */
export async function hasJoinService(folder: string): Promise<boolean> {
  return await hasServiceState(stagedFolder(folder)) || await hasServiceState(folder);
}

/** Starts the service that was staged. May be done again. */
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

async function writeState(
  folder: string,
  { address, trust, clock }: JoinServiceInstallation,
  { ca, foundings, ...documents }: JoinServiceCluster,
): Promise<void> {
  const keys = await generateKeyPair("p-256");
  const certificate = await issueServiceCertificate(ca, keys.spki, clock.now());
  await writeServiceState(folder, {
    keys,
    certificate: certificate.der,
    caCertificate: ca.certificate.der,
    foundings,
    trust: { ...trust, clusterId: await clusterIdOf(ca.certificate) },
    ...documents,
    listen: hostAndPort(address, JOIN_SERVICE_PORT),
    apiServer: `https://${ownApiEndpoint({ address })}`,
  });
}

/** Not waited for: the service waits for the API server by itself. */
async function restart({ commands }: Pick<JoinServiceInstallation, "commands">): Promise<void> {
  await runOrThrow(commands, ["systemctl", "restart", "--no-block", UNIT], { deadlineMs: SYSTEMCTL_DEADLINE_MS });
}
