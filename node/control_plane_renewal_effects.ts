/**
 * The renewal of a control plane's certificates, with the real effects.
 *
 * @module
 */
import { join } from "node:path";
import { issueServiceCertificate } from "../certificate/ca.ts";
import { KubernetesApi } from "../kubernetes/api.ts";
import { BOOTSTRAPPER_NAMESPACE } from "../kubernetes/cluster_rbac.ts";
import type { Kubeadm } from "../kubernetes/kubeadm.ts";
import { liveClusterConfiguration, liveImagesDocument } from "../kubernetes/kubeadm_config.ts";
import { kubeadmVersion } from "../kubernetes/kubeadm_version.ts";
import { Leases } from "../kubernetes/lease.ts";
import { inTurn } from "../kubernetes/lease_turn.ts";
import { ownApiCredentials } from "../kubernetes/own_api.ts";
import { awaitStaticPod } from "../kubernetes/static_pods.ts";
import { fromUtf8, utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { runOrThrow } from "../platform/command.ts";
import { MINUTE_MS, SECOND_MS } from "../platform/duration.ts";
import { asBootstrapError } from "../platform/errors.ts";
import { readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { hasServiceState, renewServiceCertificate, serviceCertificateEnd } from "../service/service_state.ts";
import { readClusterCa } from "./cluster_ca.ts";
import type { ControlPlaneRenewalDependencies } from "./control_plane_renewal.ts";
import { JOIN_SERVICE_UNITS } from "./join_service_units.ts";
import type { Named } from "./own_self.ts";
import type { NodePaths } from "./paths.ts";

/** The Lease of the control plane that starts its Pods anew. */
const LEASE = "control-plane-certificates";
/** What this machine last knew of kubeadm's ClusterConfiguration, in the state folder. */
const KNOWN_CONFIGURATION = "kubeadm-config.yaml";
const MAXIMUM_CONFIGURATION_BYTES = 1 << 18;
const PUBLIC = { mode: 0o644 };

const API_DEADLINE_MS = 15 * SECOND_MS;
const KUBEADM_DEADLINE_MS = 5 * MINUTE_MS;
const SYSTEMCTL_DEADLINE_MS = 2 * MINUTE_MS;
/** An emulated API server needs minutes. */
const POD_DEADLINE_MS = 4 * MINUTE_MS;

/** What the renewal's effects work with. */
export interface ControlPlaneRenewalParts {
  readonly paths: NodePaths;
  readonly clock: Clock;
  readonly log: Log;
  readonly commands: CommandRunner;
  readonly kubeadm: Pick<Kubeadm, "renewCertificates">;
  /** The name and the addresses of this node. */
  readonly self: Named;
}

/** Returns the real effects. */
export function controlPlaneRenewal(parts: ControlPlaneRenewalParts): ControlPlaneRenewalDependencies {
  const { paths, clock, log, commands, kubeadm, self } = parts;
  const api = async (signal: AbortSignal) =>
    new KubernetesApi(await ownApiCredentials(paths.kubernetes, self), { signal, deadlineMs: API_DEADLINE_MS });
  return {
    ...{ paths, clock, log, random: Math.random },
    readCa: () => readClusterCa(paths),
    clusterConfiguration: (signal) => clusterConfiguration(parts, () => api(signal), signal),
    kubeadmRenew: (configuration, signal) =>
      kubeadm.renewCertificates(liveImagesDocument(configuration, self), { deadlineMs: KUBEADM_DEADLINE_MS, signal }),
    isKubeletActive: () => isActive(commands, "kubelet.service"),
    inTurn: async (signal, work) => {
      // Each call reads the credentials anew: the work renews them.
      const call = async <T>(use: (leases: Leases) => Promise<T>) => {
        using client = await api(signal);
        return await use(new Leases(client, BOOTSTRAPPER_NAMESPACE));
      };
      const leases: Pick<Leases, "find" | "create" | "update"> = {
        find: (name) => call((real) => real.find(name)),
        create: (name, state) => call((real) => real.create(name, state)),
        update: (stored, state) => call((real) => real.update(stored, state)),
      };
      return await inTurn(leases, { name: LEASE, identity: self.name, clock, signal }, work);
    },
    awaitPod: (pod, time, signal) =>
      awaitStaticPod(() => api(signal), { pod, nodeName: self.name, time }, {
        ...{ clock, signal, deadlineMs: POD_DEADLINE_MS },
        onFailedTry: (error) => log.event("info", "static-pod-awaited", { pod, ...errorFields(error) }),
      }),
    serviceEnd: async () =>
      await hasServiceState(paths.joinService) ? await serviceCertificateEnd(paths.joinService) : undefined,
    renewService: (ca) =>
      renewServiceCertificate(paths.joinService, (spki) => issueServiceCertificate(ca, self.name, spki, clock.now())),
    restartService: () => restartService(parts),
  };
}

/** The cluster's configuration now; without an API server that of the last time, or what the cluster began with. */
async function clusterConfiguration(
  { paths, log, commands }: ControlPlaneRenewalParts,
  api: () => Promise<KubernetesApi>,
  signal: AbortSignal,
): Promise<string> {
  const path = join(paths.state, KNOWN_CONFIGURATION);
  try {
    using client = await api();
    const live = await liveClusterConfiguration(client);
    await writeFileAtomic(path, utf8(live), PUBLIC);
    return live;
  } catch (cause) {
    signal.throwIfAborted();
    log.event("info", "cluster-configuration-as-known", errorFields(asBootstrapError(cause)));
  }
  const known = await readFileIfExists(path, MAXIMUM_CONFIGURATION_BYTES);
  if (known !== undefined) return fromUtf8(known, path);
  // kubeadm refuses a version that is more than one minor before its own. Certificates do not depend on it.
  return firstConfiguration(await kubeadmVersion(commands));
}

/** As `initDocuments()` has it; the rest says nothing about certificates that are there. */
function firstConfiguration(kubernetesVersion: string): string {
  return [
    "apiVersion: kubeadm.k8s.io/v1beta4",
    "kind: ClusterConfiguration",
    `kubernetesVersion: ${kubernetesVersion}`,
    "encryptionAlgorithm: ECDSA-P256\n",
  ].join("\n");
}

async function isActive(commands: CommandRunner, unit: string): Promise<boolean> {
  const { code } = await commands.run(["systemctl", "is-active", "--quiet", unit], {
    deadlineMs: SYSTEMCTL_DEADLINE_MS,
  });
  return code === 0;
}

/** Only where it runs: a service that an operator has stopped stays so. */
async function restartService({ commands }: Pick<ControlPlaneRenewalParts, "commands">): Promise<void> {
  await runOrThrow(commands, ["systemctl", "try-restart", "--no-block", ...JOIN_SERVICE_UNITS], {
    deadlineMs: SYSTEMCTL_DEADLINE_MS,
  });
}
