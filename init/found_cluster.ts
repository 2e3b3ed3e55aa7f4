/**
 * What a node does after it is locked for an init: the steps that make the cluster. Each may be done again.
 *
 * @module
 */
import { join } from "node:path";
import { privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { KubernetesApi } from "../kubernetes/api.ts";
import { applyClusterRbac } from "../kubernetes/cluster_rbac.ts";
import { controlPlaneEndpoint, initDocuments } from "../kubernetes/documents.ts";
import type { NodeFacts } from "../kubernetes/documents.ts";
import type { Kubeadm } from "../kubernetes/kubeadm.ts";
import { readKubeconfig } from "../kubernetes/kubeconfig.ts";
import { waitForKubelet, waitForNode } from "../kubernetes/readiness.ts";
import { readClusterSettings } from "../kubernetes/settings.ts";
import { utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { ensureFolder, writeFileAtomic } from "../platform/files.ts";
import type { FoundedCluster } from "./init_server.ts";
import type { ProgressLog } from "./progress.ts";
import type { StagedInit, StagedInitFolder } from "./staged_init.ts";

/** Emulated machines need minutes for what takes a healthy one ten seconds. */
const KUBEADM_DEADLINE_MS = 20 * 60 * 1000;
const READY_DEADLINE_MS = 10 * 60 * 1000;

/** What {@linkcode foundCluster} needs. */
export interface FoundClusterDependencies {
  /** This node. */
  readonly node: NodeFacts;
  /** Kubernetes' configuration folder. */
  readonly kubernetesFolder: string;
  /** Runs kubeadm. */
  readonly kubeadm: Kubeadm;
  /** Where the init was staged. */
  readonly folder: StagedInitFolder;
  /** The port of this node's join service. */
  readonly joinServicePort: number;
  /** Makes the join service's credentials and state, and starts it. */
  installJoinService(staged: StagedInit, cluster: FoundedCluster): Promise<void>;
  /** Time. */
  readonly clock: Clock;
}

/** The kubeadm documents of an init. */
export function documentsOf(staged: StagedInit, node: NodeFacts): string {
  const { clusterName, clusterDocument } = staged.request;
  return initDocuments(readClusterSettings(clusterDocument), { clusterName, node });
}

/** Makes the cluster. */
export async function foundCluster(
  deps: FoundClusterDependencies,
  staged: StagedInit,
  progress: ProgressLog,
): Promise<FoundedCluster> {
  const { node, kubernetesFolder, kubeadm, folder, clock } = deps;
  const settings = readClusterSettings(staged.request.clusterDocument);
  const cluster: FoundedCluster = {
    nodeName: node.name,
    apiEndpoints: [controlPlaneEndpoint(settings, node)],
    joinEndpoints: [endpoint(node.address, deps.joinServicePort)],
  };
  if (await folder.completedAt() !== undefined) return cluster;

  await progress.phase("certificates", () => installCa(staged, join(kubernetesFolder, "pki")));
  await progress.phase("kubeadm-init", () =>
    kubeadm.init(documentsOf(staged, node), {
      deadlineMs: KUBEADM_DEADLINE_MS,
      onProgress: ({ phase, detail }) => progress.detail("kubeadm-init", `${phase}: ${detail}`),
    }));
  using api = new KubernetesApi(await readKubeconfig(join(kubernetesFolder, "admin.conf")));
  await progress.phase("access", () => applyClusterRbac(api));
  await progress.phase("join-service", () => deps.installJoinService(staged, cluster));
  await progress.phase("kubelet", async () => {
    const wait = { clock, deadlineMs: READY_DEADLINE_MS };
    await waitForKubelet(wait);
    await waitForNode(api, node.name, "registered", wait);
  });
  await folder.complete(clock.now());
  return cluster;
}

async function installCa({ ca }: StagedInit, pki: string): Promise<void> {
  await ensureFolder(pki);
  await writeFileAtomic(join(pki, "ca.key"), utf8(await privateKeyPem(ca.keys)), { mode: 0o600 });
  await writeFileAtomic(join(pki, "ca.crt"), utf8(writePem("CERTIFICATE", ca.certificate.der)), { mode: 0o644 });
}

function endpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
