/**
 * Decides, by the operator's record of a name, whether a verified node goes on, begins, or must be refused.
 *
 * @module
 */
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { hex, randomBytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import type { ClusterRecord } from "./cluster_records.ts";
import type { VerifiedNode } from "./exchange_client.ts";
import { OPERATION_ID_LENGTH } from "../protocol/init_request.ts";

/** What an operator asks for. */
export interface OperationSettings {
  readonly clusterName: string;
  /** The cluster's settings, validated YAML. */
  readonly clusterDocument: string;
  /** The policy of the cluster's join services, validated YAML. */
  readonly policyDocument: string;
  readonly operator: Pick<KeyPair, "spki">;
}

/** Whether the node continues the recorded operation. */
export function isAgain(recorded: ClusterRecord | undefined, clusterId: Uint8Array): boolean {
  return recorded?.state === "pending" && recorded.clusterId === hex(clusterId);
}

/**
 * Checks that the record lets the node be founded. A name is founded a second time only if the first founding provably
 * came to nothing: the same machine, fresh and with another cluster ID, shows that it never locked for the recorded
 * one. A TPM whose reset counter went back was rolled back or cloned, and shows nothing. A machine without a register
 * for the lock shows nothing either, not even for an abandoned name.
 *
 * @throws {BootstrapError} `precondition/cluster-exists`.
 */
export function checkRecord(recorded: ClusterRecord | undefined, { claims, clusterId }: VerifiedNode): void {
  if (recorded === undefined) return;
  if (recorded.state === "abandoned") {
    if (claims.showsNoLock !== true) return;
    // A member of the abandoned cluster that was taken over would look fresh for as long as it runs.
    throw clusterExists(recorded);
  }
  const resetCountWentBack = (claims.resetCount ?? 0) < (recorded.resetCount ?? 0);
  const mayHaveLocked = claims.showsNoLock === true && recorded.clusterId !== hex(clusterId);
  if (claims.identity !== recorded.identity || resetCountWentBack || mayHaveLocked) throw clusterExists(recorded);
}

/**
 * Returns the record of an operation that continues, if its documents are those that the operator asks for now.
 *
 * @throws {BootstrapError} `precondition/operation-changed`, naming what differs.
 */
export function sameSettings(
  record: ClusterRecord,
  { clusterDocument, policyDocument }: OperationSettings,
): ClusterRecord {
  const changed = [
    ...(record.clusterDocument === clusterDocument ? [] : ["the cluster's settings"]),
    ...(record.policyDocument === policyDocument ? [] : ["the policy"]),
  ].join(" and ");
  if (changed === "") return record;
  throw new BootstrapError(
    "precondition/operation-changed",
    `The node goes on with the operation that began on ${record.time}, which differs from this one in ${changed}`,
    {
      next: "Run init with the earlier documents; settings that may change are changed later, in the finished cluster",
      details: { operation: record.operationId, began: record.time, changed },
    },
  );
}

/**
 * Makes the record of a new operation, with its own admin key.
 *
 * @param earlier The record of the name before.
 */
export async function newRecord(
  { clusterName, clusterDocument, policyDocument, operator }: OperationSettings,
  { claims, clusterId }: VerifiedNode,
  clock: Pick<Clock, "now">,
  earlier: ClusterRecord | undefined,
): Promise<ClusterRecord> {
  return {
    version: 1,
    clusterName,
    state: "pending",
    clusterId: hex(clusterId),
    identity: claims.identity,
    operationId: hex(randomBytes(OPERATION_ID_LENGTH)),
    operatorKey: hex(operator.spki),
    clusterDocument,
    policyDocument,
    adminKeyPem: await privateKeyPem(await generateKeyPair("p-256")),
    ...present("resetCount", claims.resetCount),
    ...(claims.showsNoLock === true ? { showsNoLock: true } : {}),
    ...(wasAbandoned(earlier) ? { wasAbandoned: true } : {}),
    time: clock.now().toISOString(),
  };
}

/**
 * The record of a name whose founding came to nothing: an earlier pending one is of the same machine, which never locked
 * for that either, and an abandoned name stays abandoned.
 */
export function withoutFounding(record: ClusterRecord | undefined): ClusterRecord | undefined {
  return record !== undefined && wasAbandoned(record) ? { ...record, state: "abandoned", adminKeyPem: "" } : undefined;
}

function wasAbandoned(record: ClusterRecord | undefined): boolean {
  return record?.state === "abandoned" || record?.wasAbandoned === true;
}

/** The error that a recorded name cannot be founded on another machine, or again. */
export function clusterExists({ clusterName, clusterId, identity, state, time }: ClusterRecord): BootstrapError {
  if (state === "abandoned") {
    return new BootstrapError(
      "precondition/cluster-exists",
      `Cluster "${clusterName}" was abandoned, and this machine has no register that tells whether it is one of its members`,
      { next: "Choose another name", details: { clusterName, clusterId: `sha256:${clusterId}`, identity } },
    );
  }
  const what = state === "founded" ? "was founded" : "may have been founded";
  return new BootstrapError(
    "precondition/cluster-exists",
    `Cluster "${clusterName}" ${what} on ${time} as sha256:${clusterId}, on the machine with the identity ${identity}`,
    {
      next: state === "founded"
        ? `Use its kubeconfig, or give the cluster up with "bootstrapper abandon ${clusterName}"`
        : `Run init against that machine again, or give the cluster up with "bootstrapper abandon ${clusterName}"`,
      details: { clusterName, clusterId: `sha256:${clusterId}`, identity },
    },
  );
}

/**
 * The error that a node which was locked for the operation is fresh: it was reset, or it has another machine's disk.
 */
export function operationLost({ clusterId, operationId, clusterName }: ClusterRecord): BootstrapError {
  return new BootstrapError(
    "precondition/operation-lost",
    `The node was locked for this operation, and now offers to found another cluster than sha256:${clusterId}`,
    {
      next: "If the node was reset, run init again to found a new cluster of that name",
      details: { operation: operationId, clusterName, clusterId: `sha256:${clusterId}` },
    },
  );
}
