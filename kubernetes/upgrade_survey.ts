/**
 * What an upgrade must know of a running cluster. It is only read.
 *
 * @module
 */
import * as v from "valibot";
import { listItems } from "./_api_objects.ts";
import type { KubernetesApi } from "./api.ts";
import { readClusterConfiguration } from "./cluster_configuration.ts";
import { type SurveyedNode, surveyNodes } from "./cluster_survey.ts";
import { liveClusterConfiguration } from "./kubeadm_config.ts";

/** The components of a control plane whose version is that of Kubernetes, in the order in which they start. */
export const VERSIONED_COMPONENTS = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] as const;

/** A static Pod of a control plane. */
export interface SurveyedPod {
  readonly nodeName: string;
  /** The label `component`: one of {@linkcode VERSIONED_COMPONENTS}, or `etcd`. */
  readonly component: string;
  readonly image: string;
}

/** The versions in a running cluster. */
export interface UpgradeSurvey {
  /** `kubernetesVersion` in kubeadm's configuration, which a control plane that joins gets. */
  readonly configured: string;
  /** The version of the API server that answered. */
  readonly apiServer: string;
  /** `apiVersion` of kubeadm's configuration. */
  readonly configurationApi: string;
  /** In the order of their names. */
  readonly nodes: readonly SurveyedNode[];
  readonly pods: readonly SurveyedPod[];
}

/** The part of the API that reads. */
export type ReadingApi = Pick<KubernetesApi, "get" | "find">;

const PODS = "/api/v1/namespaces/kube-system/pods";
const SELECTOR = `labelSelector=${encodeURIComponent("tier=control-plane")}`;
const versionSchema = v.object({ gitVersion: v.string() });
const podSchema = v.object({
  metadata: v.object({ labels: v.optional(v.record(v.string(), v.string()), {}) }),
  spec: v.object({
    nodeName: v.optional(v.string(), ""),
    containers: v.array(v.object({ image: v.optional(v.string(), "") })),
  }),
});

/**
 * Reads the versions of a running cluster.
 *
 * @throws {BootstrapError} `malformed/kubeadm-config`; the errors of {@linkcode KubernetesApi}.
 */
export async function surveyUpgrade(api: ReadingApi): Promise<UpgradeSurvey> {
  const configuration = readClusterConfiguration(await liveClusterConfiguration(api));
  return {
    configured: configuration.kubernetesVersion,
    apiServer: (await api.get("/version", versionSchema)).gitVersion,
    configurationApi: configuration.apiVersion,
    nodes: await surveyNodes(api),
    pods: (await listItems(api, PODS, podSchema, SELECTOR)).flatMap(({ metadata, spec: { nodeName, containers } }) => {
      const { component = "" } = metadata.labels;
      return containers.slice(0, 1).map(({ image }) => ({ nodeName, component, image }));
    }),
  };
}

/** The version in an image's tag; `undefined` where it has none, as an image by its digest alone. */
export function versionOfImage(image: string): string | undefined {
  return /:(v1\.\d{1,3}\.\d{1,3}(?:[-+][0-9A-Za-z.+-]{1,100})?)(?:@|$)/.exec(image)?.[1];
}
