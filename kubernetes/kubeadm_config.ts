/**
 * The configuration that kubeadm keeps in a running cluster. It changes with each `kubeadm upgrade`.
 *
 * @module
 */
import * as v from "valibot";
import { stringify } from "yaml";
import { BootstrapError } from "../platform/errors.ts";
import type { KubernetesApi } from "./api.ts";
import type { NodeFacts } from "./documents.ts";
import { imagesDocument } from "./documents.ts";

/** kubeadm's ConfigMap (`KubeadmConfigConfigMap` in its `constants.go`). Nodes may read it. */
const PATH = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config";
const KEY = "ClusterConfiguration";

const configMapSchema = v.object({ data: v.optional(v.record(v.string(), v.string()), {}) });

/**
 * Returns kubeadm's ClusterConfiguration of a running cluster, YAML: its version is the cluster's now, and not the one
 * with which the cluster was founded.
 *
 * @throws {BootstrapError} `malformed/kubeadm-config` if there is none in the ConfigMap; the errors of
 *   {@linkcode KubernetesApi}.
 */
export async function liveClusterConfiguration(api: Pick<KubernetesApi, "get">): Promise<string> {
  const { data } = await api.get(PATH, configMapSchema);
  const text = data[KEY];
  if (text !== undefined && text.trim() !== "") return text;
  throw new BootstrapError("malformed/kubeadm-config", `kubeadm's ConfigMap kube-system/kubeadm-config has no ${KEY}`, {
    next: "Restore it: `kubeadm init phase upload-config kubeadm` on a control plane writes it",
    details: { key: KEY },
  });
}

/** The documents from which kubeadm lists the images of a control plane that joins a running cluster. */
export function liveImagesDocument(clusterConfiguration: string, node: NodeFacts): string {
  return `${stringify(imagesDocument(node))}---\n${clusterConfiguration}`;
}
