/**
 * Makes the join service of a new control plane: credentials of its own, its state, its unit.
 *
 * @module
 */
import { issueServiceCertificate } from "../certificate/ca.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import type { TrustPart } from "../attestation/transcript.ts";
import type { FoundedCluster } from "../init/init_server.ts";
import type { StagedInit } from "../init/staged_init.ts";
import { writeServiceState } from "../join/service_state.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { runOrThrow } from "../platform/command.ts";

/** The port of the join services. */
export const JOIN_SERVICE_PORT = 9444;
const API_SERVER_PORT = 6443;
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

/** Writes the service's credentials and state with the founding, and starts it. May be done again: it restarts the service. */
export async function installJoinService(
  { folder, address, trust, clock, commands }: JoinServiceInstallation,
  { ca, founding, request }: StagedInit,
  { apiEndpoints, joinEndpoints }: FoundedCluster,
): Promise<void> {
  const keys = await generateKeyPair("p-256");
  const certificate = await issueServiceCertificate(ca, keys.spki, clock.now());
  const host = address.includes(":") ? `[${address}]` : address;
  await writeServiceState(folder, {
    keys,
    certificate: certificate.der,
    caCertificate: ca.certificate.der,
    foundings: [founding],
    trust: { ...trust, clusterId: await clusterIdOf(ca.certificate) },
    policyDocument: request.policyDocument,
    clusterDocument: request.clusterDocument,
    listen: `${host}:${JOIN_SERVICE_PORT}`,
    apiServer: `https://${host}:${API_SERVER_PORT}`,
    apiEndpoints,
    joinEndpoints,
  });
  // Not waited for: the service waits for the API server by itself.
  await runOrThrow(commands, ["systemctl", "restart", "--no-block", UNIT], { deadlineMs: SYSTEMCTL_DEADLINE_MS });
}
