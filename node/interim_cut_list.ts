/**
 * The cut list of a control plane that is joining. Its API server serves as soon as its etcd has joined, which may be
 * long before its own join service starts. Until then, this process keeps the list, by what another API server says.
 *
 * @module
 */
import { basename, join } from "node:path";
import type { EvidenceKind } from "../attestation/kind.ts";
import { readPolicy } from "../attestation/policy/policy.ts";
import { privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { KubernetesApi } from "../kubernetes/api.ts";
import { AUTHORIZATION_FOLDER } from "../kubernetes/authorization_configuration.ts";
import { nodeCertificateLifetimeMs, readClusterSettings } from "../kubernetes/settings.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { CutListKeeper } from "../service/cut_list.ts";
import type { ServiceState } from "../service/service_state.ts";
import { readServiceState } from "../service/service_state.ts";
import { stagedJoinService } from "./join_service_install.ts";
import type { NodePaths } from "./paths.ts";

const API_DEADLINE_MS = 15_000;

/** What {@linkcode withCutListKept} needs. */
export interface InterimCutListParts {
  readonly paths: Pick<NodePaths, "joinService" | "kubernetes">;
  readonly clock: Clock;
  readonly log: Log;
  /** The known kinds of evidence. Default: those of `attestation/kinds.ts`. */
  readonly kinds?: readonly EvidenceKind[];
}

/**
 * Does work while the cut list is kept. The list is true before the work begins. Where the join service is no longer
 * staged, it keeps the list itself.
 *
 * Bans are those of the policy in the ticket; later ones come with the join service.
 *
 * @throws {BootstrapError} The errors of the API servers' calls, and those of the work.
 */
export async function withCutListKept(
  { paths, clock, log, kinds }: InterimCutListParts,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  const staged = await stagedJoinService(paths.joinService);
  if (staged === undefined) return await work();
  const state = await readServiceState(staged, clock.now());
  const { bannedIdentities } = readPolicy(state.policyDocument, "the policy of the ticket", kinds);
  const parts = {
    ...{ clock, log },
    folder: join(paths.kubernetes, basename(AUTHORIZATION_FOLDER)),
    certificateLifetimeMs: nodeCertificateLifetimeMs(readClusterSettings(state.clusterDocument)),
    banned: () => bannedIdentities,
  };
  using api = await lookedAt(state, signal, (one) => new CutListKeeper({ ...parts, api: one }).look());
  const done = new AbortController();
  const kept = new CutListKeeper({ ...parts, api }).run(AbortSignal.any([signal, done.signal]));
  try {
    return await work();
  } finally {
    done.abort();
    await kept;
  }
}

/** Returns the first API server with which the look succeeds. This machine's own is the last, as it may not serve yet. */
async function lookedAt(
  { apiEndpoints, apiServer, caCertificate, certificate, keys }: ServiceState,
  signal: AbortSignal,
  look: (api: KubernetesApi) => Promise<void>,
): Promise<KubernetesApi> {
  const credentials = {
    caPem: writePem("CERTIFICATE", caCertificate),
    certificatePem: writePem("CERTIFICATE", certificate),
    keyPem: await privateKeyPem(keys),
  };
  let failure: unknown;
  for (const server of [...apiEndpoints.map((endpoint) => `https://${endpoint}`), apiServer]) {
    const api = new KubernetesApi({ ...credentials, server }, { signal, deadlineMs: API_DEADLINE_MS });
    try {
      await look(api);
      return api;
    } catch (error) {
      api[Symbol.dispose]();
      signal.throwIfAborted();
      failure ??= error;
    }
  }
  throw failure;
}
