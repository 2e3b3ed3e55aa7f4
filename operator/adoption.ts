/**
 * The operator's part of an adoption: what is to be done with a cluster that kubeadm made, and what is done through its
 * API. Root changes the control planes on each of them (`node/adopted_control_plane.ts`).
 *
 * @module
 */
import { clusterIdText } from "../certificate/cluster_id.ts";
import type { ObjectApi } from "../kubernetes/admission_records.ts";
import { AdmissionRecords } from "../kubernetes/admission_records.ts";
import type { CheckClaims } from "../kubernetes/adoption_problems.ts";
import { adoptionProblems } from "../kubernetes/adoption_problems.ts";
import { findAdoption, keepAdoption } from "../kubernetes/adoption_store.ts";
import type { KubernetesApi } from "../kubernetes/api.ts";
import { clusterDocumentOf } from "../kubernetes/cluster_configuration.ts";
import { applyClusterRbac } from "../kubernetes/cluster_rbac.ts";
import type { ClusterSurvey, SurveyedNode } from "../kubernetes/cluster_survey.ts";
import type { NodeRole } from "../kubernetes/node_role.ts";
import { createPolicyConfigMap } from "../kubernetes/policy_config_map.ts";
import type { Wait } from "../kubernetes/readiness.ts";
import { hex, sha256, utf8 } from "../platform/bytes.ts";
import type { FailedCheck } from "../platform/errors.ts";
import { BootstrapError } from "../platform/errors.ts";
import { hostAndPort } from "../platform/host.ts";

/**
 * A node of the plan. `new`: it has no record yet; `adopted`: its record holds its name and addresses, and nothing is
 * proven of its machine; `admitted`: a machine has its record.
 */
export interface PlannedNode extends Pick<SurveyedNode, "name" | "addresses" | "kubeletVersion"> {
  readonly role: NodeRole;
  readonly state: "new" | "adopted" | "admitted";
}

/** What an adoption is to do. */
export interface AdoptionPlan {
  readonly clusterName: string;
  /** `sha256:…`. */
  readonly clusterId: string;
  readonly version: string;
  readonly caKeyType: string;
  readonly clusterDocument: string;
  /** `host:port`, at least one. */
  readonly apiEndpoints: readonly string[];
  /** `host:port`, one of each control plane. */
  readonly joinEndpoints: readonly string[];
  readonly nodes: readonly PlannedNode[];
  /** Whether an earlier call has begun it. */
  readonly isUnderWay: boolean;
  /** Why it cannot be done. */
  readonly problems: readonly FailedCheck[];
}

/** What a plan needs besides the survey. */
export interface AdoptionRequest {
  readonly clusterName: string;
  readonly joinServicePort: number;
  /** Makes the check of a node's name and addresses for a cluster. */
  readonly claimsOf: (apiEndpoint: string, clusterDocument: string) => CheckClaims;
}

/**
 * Plans an adoption. It changes nothing.
 *
 * @throws {BootstrapError} `malformed/adoption`, and the errors of `KubernetesApi`.
 */
export async function planAdoption(
  api: ObjectApi,
  survey: ClusterSurvey,
  { clusterName, joinServicePort, claimsOf }: AdoptionRequest,
): Promise<AdoptionPlan> {
  const { apiEndpoint, configuration, nodes, clusterId, version, caKeyType } = survey;
  const isUnderWay = await findAdoption(api) !== undefined;
  const clusterDocument = clusterDocumentOf(configuration);
  const stateOf = (name: string): PlannedNode["state"] => {
    const own = survey.admissions.filter(({ record, removedMs }) =>
      record.nodeName === name && removedMs === undefined
    );
    if (own.some(({ record }) => record.adoptedMs === undefined)) return "admitted";
    return own.length === 0 ? "new" : "adopted";
  };
  // Settings that cannot be read are a problem of the plan's.
  const checkClaims: CheckClaims = (node) => claimsOf(apiEndpoint, clusterDocument)(node);
  const problems = adoptionProblems(survey, isUnderWay, checkClaims);
  return {
    ...{ clusterName, clusterId: clusterIdText(clusterId), version, caKeyType, clusterDocument, isUnderWay, problems },
    apiEndpoints: [apiEndpoint],
    joinEndpoints: nodes.filter(({ role }) => role === "control-plane").flatMap(({ addresses: [address] }) =>
      address === undefined ? [] : [hostAndPort(address, joinServicePort)]
    ),
    nodes: nodes.map(({ name, role, addresses, kubeletVersion }) => ({
      ...{ name, role, addresses, kubeletVersion },
      state: stateOf(name),
    })),
  };
}

/** Throws `precondition/adoption` with all problems of a plan, if it has any. */
export function checkAdoptable({ problems, clusterName }: Pick<AdoptionPlan, "problems" | "clusterName">): void {
  const [first] = problems;
  if (first === undefined) return;
  const more = problems.length === 1 ? "" : `, and ${problems.length - 1} more`;
  throw new BootstrapError(
    "precondition/adoption",
    `The cluster ${clusterName} cannot be adopted: ${first.message}${more}`,
    { checks: problems, details: { check: first.check, expected: first.expected, seen: first.seen } },
  );
}

/** What {@linkcode adoptCluster} works with. */
export interface AdoptingOperator extends Wait {
  readonly api: KubernetesApi;
  readonly survey: Pick<ClusterSurvey, "clusterId" | "nodes">;
  /** The policy, YAML. */
  readonly policyDocument: string;
  /** The operator's founding, a founding file's text. */
  readonly founding: string;
}

/**
 * Makes the cluster's records, rights, policy and founding. Kubelets go on as before. It may be repeated, also after a
 * kill.
 *
 * @returns The names of the nodes that got a record.
 * @throws {BootstrapError} `conflict/node-address`, `conflict/node-name`; `timeout/kubernetes-kinds`; the errors of
 *   `KubernetesApi`.
 */
export async function adoptCluster(
  { api, survey, policyDocument, founding, ...wait }: AdoptingOperator,
  { clusterDocument, apiEndpoints, joinEndpoints }: AdoptionPlan,
): Promise<readonly string[]> {
  await applyClusterRbac(api, wait, { keepsKubeletSigner: true });
  // Before any record: with it, records are no reason to refuse a second call.
  await keepAdoption(api, { foundings: [founding], clusterDocument, apiEndpoints, joinEndpoints });
  await createPolicyConfigMap(api, policyDocument);
  const records = new AdmissionRecords(api, wait.clock);
  const adopted: string[] = [];
  for (const node of survey.nodes) {
    if (await records.admittedAs(node.name) !== undefined) continue;
    await records.adopt({
      identity: await placeholderOf(survey.clusterId, node),
      ...{ nodeName: node.name, role: node.role, addresses: node.addresses, nodeKey: "", evidenceDigest: "" },
      adoptedMs: wait.clock.now().getTime(),
    });
    adopted.push(node.name);
  }
  return adopted;
}

/** The identity in the record of a node of which nothing is proven: no machine can have it. */
async function placeholderOf(clusterId: Uint8Array, { uid }: Pick<SurveyedNode, "uid">): Promise<string> {
  return hex(await sha256(utf8("bootstrapper/1 adopted node"), clusterId, utf8(uid)));
}
