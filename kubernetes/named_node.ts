/**
 * The cluster's data under a node's name.
 *
 * @module
 */
import type { NodeRole } from "./node_role.ts";
import * as v from "valibot";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { listItems } from "./_api_objects.ts";
import { ConfigMaps } from "./_config_maps.ts";
import { NameClaims } from "./_name_claims.ts";
import { type AdmissionRecord, AdmissionRecords, type ConfigMapApi, type ObjectApi } from "./admission_records.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";
import { NodeAdmissions } from "./node_admissions.ts";
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
 * @param nodeName An RFC 1123 subdomain.
 * @throws {BootstrapError} `precondition/no-such-node`, `malformed/…`, and the errors of `KubernetesApi`.
 */
export async function findNamedNode(api: ObjectApi, nodeName: string): Promise<NamedNode> {
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
    role: begun?.request.role ?? record?.record?.role ?? (labelled ? "control-plane" : "worker"),
    identity: begun?.request.identity ?? record?.identity ?? "",
    addresses: begun?.request.addresses ?? await ownAddresses(api, nodeName, [
      ...record?.record?.addresses ?? [],
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
async function ownAddresses(api: ObjectApi, nodeName: string, all: readonly string[]): Promise<string[]> {
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

/** What is on record under a name. */
export interface RecordOfName {
  /** The identity that claims the name. */
  readonly identity: string;
  /** Its record, if there is one. */
  readonly record?: AdmissionRecord;
}

/** Returns what is on record under that name, whether the admission was complete or not. */
export async function findRecord(api: ObjectApi, nodeName: string): Promise<RecordOfName | undefined> {
  const claim = await new NameClaims(new ConfigMaps(api, BOOTSTRAPPER_NAMESPACE)).find(nodeName);
  if (claim === undefined) return undefined;
  const { identity } = claim;
  return { identity, ...present("record", (await new NodeAdmissions(api).find(identity))?.record) };
}

const nameSchema = v.object({ metadata: v.object({ name: v.string() }) });

/** Returns the names of all Nodes that are not among the given ones. */
export async function nodesWithoutRecord(
  api: Pick<ObjectApi, "get">,
  recorded: ReadonlySet<string>,
): Promise<readonly string[]> {
  const nodes = await listItems(api, "/api/v1/nodes", nameSchema);
  return nodes.map(({ metadata }) => metadata.name).filter((name) => !recorded.has(name));
}
