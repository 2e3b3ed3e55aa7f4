/**
 * Whether the cluster still accepts the certificate of a node's kubelet. A certificate may end before its time: the
 * node is on the cut list, or its epoch has ended.
 *
 * @module
 */
import * as v from "valibot";
import { SECOND_MS } from "../platform/duration.ts";
import { BootstrapError } from "../platform/errors.ts";
import { KubernetesApi } from "./api.ts";
import { readKubeconfig } from "./kubeconfig.ts";
import type { KubeletPaths } from "./kubelet_credentials.ts";
import { kubeletKubeconfigPath } from "./kubelet_credentials.ts";

const DEADLINE_MS = 15 * SECOND_MS;
const DENIALS: readonly string[] = ["unauthorized/kubernetes-api", "unavailable/kubernetes-authorizer"];

/**
 * Asks the kubelet's API server for the Node, with the kubelet's credentials. A kubelet may always read its own Node, so
 * that a denial is one of the certificate.
 *
 * @returns The denial; `undefined` if there is none.
 * @throws {BootstrapError} When it is not known: no answer, or no credentials to ask with.
 */
export async function kubeletDenial(
  paths: Pick<KubeletPaths, "kubernetes">,
  nodeName: string,
  signal: AbortSignal,
): Promise<BootstrapError | undefined> {
  const credentials = await readKubeconfig(kubeletKubeconfigPath(paths));
  using api = new KubernetesApi(credentials, { signal, deadlineMs: DEADLINE_MS });
  try {
    await api.find(`/api/v1/nodes/${nodeName}`, v.unknown());
    return undefined;
  } catch (error) {
    if (error instanceof BootstrapError && DENIALS.includes(error.code)) return error;
    throw error;
  }
}
