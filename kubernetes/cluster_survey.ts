/**
 * What an operator's kubeconfig shows of a cluster that kubeadm made, and whether it can be adopted.
 *
 * @module
 */
import * as v from "valibot";
import { checkCaCertificate } from "../certificate/chain.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { readPem } from "../certificate/pem.ts";
import { readPublicKey } from "../certificate/public_key.ts";
import type { KeyType } from "../certificate/public_key.ts";
import type { Certificate } from "../certificate/x509.ts";
import { readCertificate } from "../certificate/x509.ts";
import type { Bytes } from "../platform/bytes.ts";
import { hostAndPort } from "../platform/host.ts";
import { listItems } from "./_api_objects.ts";
import type { KubernetesApi } from "./api.ts";
import type { ClusterConfiguration } from "./cluster_configuration.ts";
import { readClusterConfiguration } from "./cluster_configuration.ts";
import { liveClusterConfiguration } from "./kubeadm_config.ts";
import type { StoredAdmission } from "./node_admissions.ts";
import { NodeAdmissions } from "./node_admissions.ts";
import type { NodeRole } from "./node_role.ts";
import { API_SERVER_PORT } from "./documents.ts";

/** A Node that is there. */
export interface SurveyedNode {
  readonly name: string;
  /** `metadata.uid`. */
  readonly uid: string;
  readonly role: NodeRole;
  /** Its internal addresses. */
  readonly addresses: readonly string[];
  readonly kubeletVersion: string;
  readonly isReady: boolean;
}

/** The flags of a component of one control plane, by their names without dashes. */
export interface ComponentFlags {
  readonly nodeName: string;
  readonly flags: Readonly<Record<string, string>>;
}

/** What a cluster shows. */
export interface ClusterSurvey {
  /** The API server's version, such as `v1.36.3`. */
  readonly version: string;
  readonly ca: Certificate;
  readonly caKeyType: KeyType;
  /** 32 bytes. */
  readonly clusterId: Bytes;
  readonly configuration: ClusterConfiguration;
  /** Where nodes reach the API server, `host:port`. */
  readonly apiEndpoint: string;
  /** In the order of their names. */
  readonly nodes: readonly SurveyedNode[];
  readonly apiServers: readonly ComponentFlags[];
  readonly controllerManagers: readonly ComponentFlags[];
  /** The admission records; empty in a cluster that has no such kind. */
  readonly admissions: readonly StoredAdmission[];
}

const CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane";
const PODS = "/api/v1/namespaces/kube-system/pods";
const DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/nodeadmissions.bootstrapper.dev";

const versionSchema = v.object({ gitVersion: v.string() });
const nodeSchema = v.object({
  metadata: v.object({
    name: v.string(),
    uid: v.string(),
    labels: v.optional(v.record(v.string(), v.string()), {}),
  }),
  status: v.object({
    addresses: v.optional(v.array(v.object({ type: v.string(), address: v.string() })), []),
    conditions: v.optional(v.array(v.object({ type: v.string(), status: v.string() })), []),
    nodeInfo: v.object({ kubeletVersion: v.string() }),
  }),
});
const podSchema = v.object({
  spec: v.object({
    nodeName: v.optional(v.string(), ""),
    containers: v.array(v.object({ command: v.optional(v.array(v.string()), []) })),
  }),
});

/**
 * Reads what an adoption must know of a cluster. It changes nothing, and reads no Secret.
 *
 * @param caPem The CA by which the API server was known.
 * @throws {BootstrapError} `malformed/…` and `refused/…` for a CA that no node would take; `malformed/kubeadm-config`;
 *   the errors of {@linkcode KubernetesApi}.
 */
export async function surveyCluster(api: KubernetesApi, caPem: string): Promise<ClusterSurvey> {
  const der = readPem(caPem, "CERTIFICATE", "the cluster's CA");
  const clusterId = await clusterIdOf(readCertificate(der, "the cluster's CA"));
  const ca = await checkCaCertificate(der, clusterId);
  const configuration = readClusterConfiguration(await liveClusterConfiguration(api));
  const apiServers = await flagsOf(api, "kube-apiserver");
  return {
    version: (await api.get("/version", versionSchema)).gitVersion,
    ...{ ca, clusterId, configuration, apiServers, caKeyType: readPublicKey(ca.spki, "the cluster's CA").type },
    apiEndpoint: endpointOf(configuration, apiServers),
    nodes: await surveyNodes(api),
    controllerManagers: await flagsOf(api, "kube-controller-manager"),
    admissions: await api.find(DEFINITION, v.unknown()) === undefined ? [] : await new NodeAdmissions(api).list(),
  };
}

/** Reads the Nodes of a cluster, in the order of their names. */
export async function surveyNodes(api: Pick<KubernetesApi, "get">): Promise<readonly SurveyedNode[]> {
  return (await listItems(api, "/api/v1/nodes", nodeSchema)).map(surveyed);
}

function surveyed({ metadata, status }: v.InferOutput<typeof nodeSchema>): SurveyedNode {
  return {
    name: metadata.name,
    uid: metadata.uid,
    role: metadata.labels[CONTROL_PLANE_LABEL] === undefined ? "worker" : "control-plane",
    addresses: status.addresses.filter(({ type }) => type === "InternalIP").map(({ address }) => address),
    kubeletVersion: status.nodeInfo.kubeletVersion,
    isReady: status.conditions.some(({ type, status: seen }) => type === "Ready" && seen === "True"),
  };
}

/** kubeadm's configuration names an endpoint, or the cluster has one control plane, whose address it is. */
function endpointOf({ controlPlaneEndpoint }: ClusterConfiguration, apiServers: readonly ComponentFlags[]): string {
  if (controlPlaneEndpoint !== "") {
    return /:\d+$/.test(controlPlaneEndpoint) ? controlPlaneEndpoint : `${controlPlaneEndpoint}:${API_SERVER_PORT}`;
  }
  const [address = ""] = apiServers.map(({ flags }) => flags["advertise-address"] ?? "");
  return address === "" ? "" : hostAndPort(address, API_SERVER_PORT);
}

async function flagsOf(api: KubernetesApi, component: string): Promise<ComponentFlags[]> {
  const selector = `labelSelector=${encodeURIComponent(`component=${component}`)}`;
  return (await listItems(api, PODS, podSchema, selector)).map(({ spec: { nodeName, containers } }) => ({
    nodeName,
    flags: Object.fromEntries(
      (containers[0]?.command ?? []).flatMap((text) => {
        const [, name, value] = /^--([^=]+)=(.*)$/s.exec(text) ?? [];
        return name === undefined || value === undefined ? [] : [[name, value]];
      }),
    ),
  }));
}
