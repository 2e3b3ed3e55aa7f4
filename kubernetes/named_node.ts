/**
 * The cluster's data under a node's name.
 *
 * @module
 */
import type { NodeRole } from "./node_role.ts";
import * as v from "valibot";
import { BootstrapError } from "../platform/errors.ts";
import { readRecord } from "./_admission_record.ts";
import { ConfigMaps } from "./_config_maps.ts";
import { type AdmissionRecord, AdmissionRecords, type ConfigMapApi } from "./admission_records.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";
import { RemovalRequests } from "./removal_requests.ts";

/** The cluster's data under a node's name. */
export interface NamedNode {
  readonly nodeName: string;
  readonly role: NodeRole;
  /** The identity that has the name; empty if none has it. */
  readonly identity: string;
  /** The node's addresses, except those that another node has. */
  readonly addresses: readonly string[];
  /** The UID of the Node; empty if there is none. */
  readonly nodeUid: string;
  readonly isReady: boolean;
  /** Whether a removal has begun but not ended. */
  readonly isBeingRemoved: boolean;
}

const RECORD_PREFIX = "node-";
const CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane";

const nodeSchema = v.object({
  metadata: v.object({ uid: v.string(), labels: v.optional(v.record(v.string(), v.string()), {}) }),
  status: v.optional(
    v.object({
      conditions: v.optional(v.array(v.object({ type: v.string(), status: v.string() })), []),
      addresses: v.optional(v.array(v.object({ type: v.string(), address: v.string() })), []),
    }),
    {},
  ),
});
/**
 * Finds the cluster's data under a name: a Node, an admission record, or a removal under way.
 *
 * @param nodeName An RFC 1123 label.
 * @throws {BootstrapError} `precondition/no-such-node`, `malformed/…`, and the errors of `KubernetesApi`.
 */
export async function findNamedNode(api: ConfigMapApi, nodeName: string): Promise<NamedNode> {
  const node = await findNode(api, nodeName);
  const record = await findRecord(api, nodeName);
  const begun = await new RemovalRequests(api).find(nodeName);
  if (node === undefined && record === undefined && begun === undefined) {
    throw new BootstrapError("precondition/no-such-node", `The cluster has no node with the name ${nodeName}`, {
      next: "List the names with `kubectl get nodes`; if the node was already removed, there is nothing left to do",
      details: { node: nodeName },
    });
  }
  const labelled = node?.metadata.labels[CONTROL_PLANE_LABEL] !== undefined;
  return {
    nodeName,
    role: begun?.request.role ?? record?.role ?? (labelled ? "control-plane" : "worker"),
    identity: begun?.request.identity ?? record?.identity ?? "",
    addresses: begun?.request.addresses ?? await ownAddresses(api, nodeName, [
      ...record?.addresses ?? [],
      ...(node?.status.addresses ?? []).filter(({ type }) => type === "InternalIP").map(({ address }) => address),
    ]),
    nodeUid: node?.metadata.uid ?? "",
    isReady: node?.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false,
    isBeingRemoved: begun !== undefined,
  };
}

/**
 * Returns the node's addresses that no other node has now: the machine may be gone for long. Unclaimed addresses in
 * other records do not count.
 */
async function ownAddresses(api: ConfigMapApi, nodeName: string, all: readonly string[]): Promise<string[]> {
  const records = new AdmissionRecords(api);
  const holders = await Promise.all(all.map((address) => records.byAddress(address)));
  return [...new Set(all.filter((_, index) => (holders[index]?.nodeName ?? nodeName) === nodeName))];
}

/** Returns the UID of the Node of that name, or `undefined`. */
export async function findNodeUid(api: ConfigMapApi, nodeName: string): Promise<string | undefined> {
  return (await findNode(api, nodeName))?.metadata.uid;
}

function findNode(api: ConfigMapApi, nodeName: string): Promise<v.InferOutput<typeof nodeSchema> | undefined> {
  return api.find(`/api/v1/nodes/${nodeName}`, nodeSchema);
}

/** Returns the admission record under that name, whether the admission was complete or not. */
export async function findRecord(api: ConfigMapApi, nodeName: string): Promise<AdmissionRecord | undefined> {
  const stored = await new ConfigMaps(api, BOOTSTRAPPER_NAMESPACE).find(RECORD_PREFIX + nodeName);
  return stored && readRecord(stored.data, stored.name);
}
