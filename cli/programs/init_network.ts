/**
 * The end of `bootstrapper init`: the network of the new cluster's Pods, and the wait until its node is Ready.
 *
 * @module
 */
import * as v from "valibot";
import type { ApiCredentials } from "../../kubernetes/api.ts";
import { KubernetesApi } from "../../kubernetes/api.ts";
import { readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import type { ManifestObject } from "../../kubernetes/manifest.ts";
import type { NotReady, Wait } from "../../kubernetes/readiness.ts";
import { waitForNode } from "../../kubernetes/readiness.ts";
import type { ClusterRecord } from "../../operator/cluster_records.ts";
import type { NewCluster } from "../../operator/init_client.ts";
import type { BootstrapError } from "../../platform/errors.ts";
import { sentenceOf } from "../../platform/errors.ts";
import { present } from "../../platform/present.ts";
import type { ProgressPrinter } from "./init_progress.ts";
import { installNetwork } from "./network_files.ts";

/** What is said of a cluster at the end. */
export type FoundedCluster = Pick<NewCluster, "clusterName" | "clusterId" | "nodeName" | "apiEndpoints">;

/** The last words of an init without a network plug-in. */
export const NETWORK_ADVICE =
  "Pods need a network plug-in: unless the node's image has one, apply its manifest with `bootstrapper network apply`, see docs/network.md";

/** How long the end of an init takes. */
export interface CompletionTimes extends Omit<Wait, "deadlineMs" | "onFailedTry"> {
  /** The time for applying the network, in milliseconds, if nothing is waited for. */
  readonly patienceMs: number;
  /** The time for all, in milliseconds, if the node should be Ready at the end. */
  readonly waitMs: number | undefined;
}

/** Applies the network to a cluster that was founded, and waits for the node and the network if requested. */
export async function completeCluster(
  { nodeName, apiEndpoints: [endpoint = ""] }: FoundedCluster,
  credentials: ApiCredentials,
  network: readonly ManifestObject[],
  { patienceMs, waitMs, ...wait }: CompletionTimes,
  printer: ProgressPrinter,
): Promise<void> {
  const endMs = wait.clock.monotonicMs() + (waitMs ?? patienceMs);
  const left = () => Math.max(0, endMs - wait.clock.monotonicMs());
  const untilReady = waitMs !== undefined;
  using api = new KubernetesApi(credentials, present("signal", wait.signal));
  if (network.length > 0) await installNetwork(api, network, { ...wait, deadlineMs: left(), untilReady }, printer);
  if (!untilReady) return;
  printer.note("waiting", `Waiting until ${nodeName} is Ready`, { node: nodeName });
  let said: string | undefined;
  const onFailedTry = (error: BootstrapError) => {
    const reason = sentenceOf(error);
    if (reason === said) return;
    said = reason;
    const text = `Waiting until ${nodeName} is Ready: the API server does not answer at ${endpoint}: ${reason}`;
    printer.note("api-server-unreachable", text, { node: nodeName, code: error.code, reason });
  };
  const onNotReady = ({ reason = "", lacksNetwork }: NotReady) => {
    if (!lacksNetwork) return;
    const advice = network.length > 0 ? "its plug-in is starting" : NETWORK_ADVICE;
    const text = `Waiting until ${nodeName} is Ready: it has no network plug-in yet (${reason}). ${advice}`;
    printer.note("no-network", text, { node: nodeName, reason });
  };
  await waitForNode(api, nodeName, "ready", { ...wait, deadlineMs: left(), onFailedTry }, onNotReady);
}

const controlPlanesSchema = v.object({
  items: v.array(v.object({ metadata: v.object({ name: v.string(), creationTimestamp: v.string() }) })),
});
const CONTROL_PLANES = "/api/v1/nodes?labelSelector=node-role.kubernetes.io%2Fcontrol-plane";

/** Returns what is known of a cluster whose init ended after its founding, from its API server: its first control plane. */
export async function foundedEarlier(record: ClusterRecord, kubeconfigFile: string): Promise<{
  readonly cluster: FoundedCluster;
  readonly credentials: ApiCredentials;
}> {
  const { clusterName, clusterId } = record;
  const credentials = await readKubeconfig(kubeconfigFile);
  using api = new KubernetesApi(credentials);
  const { items } = await api.get(CONTROL_PLANES, controlPlanesSchema);
  const names = items.map(({ metadata }) => metadata)
    .toSorted((a, b) => a.creationTimestamp < b.creationTimestamp ? -1 : 1)
    .map(({ name }) => name);
  const endpoint = credentials.server.replace(/^https:\/\//, "");
  const cluster = { clusterName, clusterId: `sha256:${clusterId}`, nodeName: names[0] ?? "", apiEndpoints: [endpoint] };
  return { cluster, credentials };
}
