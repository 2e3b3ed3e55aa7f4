/**
 * `bootstrapper init`, from the operator's machine: founds a cluster on one fresh node.
 *
 * @module
 */
import type { EvidenceClaims, EvidenceVerifier, RegisterExpectation } from "../attestation/evidence.ts";
import { clusterIdText } from "../certificate/cluster_id.ts";
import { generateKeyPair, privateKeyPem, readPrivateKeyPem } from "../certificate/keys.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { fromHex, hex, randomBytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { Founding, InitRequest, ProgressEvent } from "../proto/gen/bootstrapper.ts";
import { dialInitServer } from "./_dial.ts";
import { expectedRegisters } from "./expected_registers.ts";
import type { ClusterRecord, HeldRecord } from "./cluster_records.ts";
import { acknowledge, awaitResult, INIT_CLIENT_DEADLINES, requestInit, verifyNode } from "./exchange_client.ts";
import type { InitClientDeadlines, VerifiedNode } from "./exchange_client.ts";
import { OPERATION_ID_LENGTH } from "./request.ts";
import type { CheckedResult } from "./result.ts";

/** What the operator decides. */
export interface InitOptions {
  /** `host:port` of the node's InitServer. */
  readonly endpoint: string;
  /** The cluster's name. */
  readonly clusterName: string;
  /** The operator's key. */
  readonly operator: KeyPair;
  /** SPKIs of all operators of the node's configuration, this one included. */
  readonly operatorKeys: readonly Uint8Array[];
  /** Verifies the node, by the policy. */
  readonly verifier: EvidenceVerifier;
  /** YAML: the cluster's settings, validated. */
  readonly clusterDocument: string;
  /** YAML: the policy of the cluster's join services, validated. */
  readonly policyDocument: string;
  /** The only identity that the node may have, lower-case hexadecimal. */
  readonly expectIdentity?: string;
  /** The record of the name, held. */
  readonly record: HeldRecord;
  /** Time. */
  readonly clock: Clock;
  /** Ends the call; the node goes on if it was locked. */
  readonly signal: AbortSignal;
  /** Default: {@linkcode INIT_CLIENT_DEADLINES}. */
  readonly deadlines?: InitClientDeadlines;
  /** Called when the node was verified, before anything but the hello was signed. */
  onVerified(claims: EvidenceClaims, clusterId: string, again: boolean): void;
  /** Called for each event of the node. */
  onProgress(event: ProgressEvent): void;
  /** Keeps what the operator gets; the node is told only afterwards. */
  keep(cluster: NewCluster): Promise<void>;
}

/** What the operator gets. */
export interface NewCluster {
  /** `sha256:…` */
  readonly clusterId: string;
  /** The cluster's name. */
  readonly clusterName: string;
  /** PEM. */
  readonly caCertificatePem: string;
  /** PEM. */
  readonly adminCertificatePem: string;
  /** PKCS#8 PEM; was made on this machine and never left it. */
  readonly adminKeyPem: string;
  /** The operator's founding. */
  readonly founding: Founding;
  /** `host:port` of the API server. */
  readonly apiEndpoints: readonly string[];
  /** `host:port` of the join services. */
  readonly joinEndpoints: readonly string[];
  /** The Node's name. */
  readonly nodeName: string;
}

/**
 * Founds a cluster, or goes on with a founding that was interrupted.
 *
 * @throws {BootstrapError} `precondition/cluster-exists`, `refused/…`, `unavailable/…`, or why the node refused or failed.
 */
export async function foundOnNode(options: InitOptions): Promise<NewCluster> {
  const { record, clusterName, operator, verifier, clock, signal, deadlines = INIT_CLIENT_DEADLINES } = options;
  if (record.current?.state === "founded") throw clusterExists(record.current);
  using dialled = await dialInitServer(options.endpoint, signal, record.current);
  const { exchange } = dialled;
  const registers = (clusterId: Uint8Array) => registersFor(options, clusterId);
  const node = await verifyNode(exchange, operator, verifier, registers, deadlines);
  const { expectIdentity } = options;
  if (expectIdentity !== undefined && node.claims.identity !== expectIdentity) {
    throw new BootstrapError("refused/identity", "The node has another identity than expected", {
      details: { check: "identity", expected: expectIdentity, seen: node.claims.identity },
    });
  }
  const again = isAgain(record.current, node);
  checkRecord(record.current, node);
  options.onVerified(node.claims, clusterIdText(node.clusterId), again);

  const before = record.current;
  const current = again && before !== undefined ? sameSettings(before, options) : await newRecord(options, node);
  if (current !== before) await record.write(current);
  const adminKeys = await readPrivateKeyPem(current.adminKeyPem, "recorded admin key");
  let founding: Founding;
  let result: CheckedResult;
  try {
    founding = await requestInit(exchange, operator, node, requestOf(current, adminKeys, clock), current.heard ?? 0);
    result = await awaitResult(exchange, {
      ...{ clusterId: node.clusterId, adminKey: adminKeys.spki, clock, deadlines, heard: current.heard ?? 0, again },
      onProgress: async (event) => {
        options.onProgress(event);
        if (event.state !== "detail") await record.write({ ...current, heard: event.number });
      },
    });
  } catch (error) {
    // A pending record of before is of the same machine, which has just shown that it never locked for that one either.
    if (isFreshStill(error)) await record.write(before?.state === "pending" ? undefined : before);
    throw error;
  }
  const cluster: NewCluster = {
    clusterId: clusterIdText(node.clusterId),
    clusterName,
    caCertificatePem: writePem("CERTIFICATE", result.caCertificate.der),
    adminCertificatePem: writePem("CERTIFICATE", result.adminCertificate.der),
    adminKeyPem: current.adminKeyPem,
    founding,
    apiEndpoints: result.apiEndpoints,
    joinEndpoints: result.joinEndpoints,
    nodeName: result.nodeName,
  };
  await options.keep(cluster);
  await record.write({ ...(record.current ?? current), state: "founded", adminKeyPem: "" });
  await acknowledge(exchange);
  await dialled.finish();
  return cluster;
}

function requestOf(record: ClusterRecord, adminKeys: KeyPair, clock: Clock): InitRequest {
  const { operationId, clusterName, clusterDocument, policyDocument } = record;
  return {
    ...{ operationId: fromHex(operationId, "operationId"), clusterName, clusterDocument, policyDocument },
    ...{ adminKey: adminKeys.spki, timeMs: BigInt(clock.now().getTime()) },
  };
}

/**
 * Whether the node says that it refused before its lock. It is the verified node that says so, over its own channel, and it has
 * forgotten the CA key: the cluster of this founding can never exist, and the record of before holds again.
 */
function isFreshStill(error: unknown): boolean {
  return error instanceof BootstrapError && error.details["saidBy"] === "peer" && error.details["node"] === "fresh";
}

/**
 * The record of an operation that goes on, if it is the one that the operator asks for now.
 *
 * @throws {BootstrapError} `precondition/operation-changed`, naming what differs.
 */
function sameSettings(record: ClusterRecord, { clusterDocument, policyDocument }: InitOptions): ClusterRecord {
  const changed = [
    ...(record.clusterDocument === clusterDocument ? [] : ["the cluster's settings"]),
    ...(record.policyDocument === policyDocument ? [] : ["the policy"]),
  ].join(" and ");
  if (changed === "") return record;
  throw new BootstrapError(
    "precondition/operation-changed",
    `The node goes on with the operation that began on ${record.time}, and ${changed} differ from that one's`,
    {
      next:
        "Run init with the documents of before; what may change in a cluster that stands is changed there afterwards",
      details: { operation: record.operationId, began: record.time, changed },
    },
  );
}

function registersFor(options: InitOptions, clusterId: Uint8Array): Promise<RegisterExpectation> {
  const recorded = options.record.current;
  const isRecorded = recorded?.state === "pending" && recorded.clusterId === hex(clusterId);
  return expectedRegisters(options, clusterId, isRecorded);
}

/** Whether the node goes on with the operation of the record. */
function isAgain(recorded: ClusterRecord | undefined, node: VerifiedNode): boolean {
  return recorded?.state === "pending" && recorded.clusterId === hex(node.clusterId);
}

/**
 * A name is founded a second time only where the first founding provably came to nothing: the same machine shows, fresh and
 * with another cluster ID, that it never locked for the recorded one. A TPM whose reset counter went back was rolled back
 * or cloned, and shows nothing; nor does a machine without a register for the lock, not even of a name that was abandoned.
 */
function checkRecord(recorded: ClusterRecord | undefined, { claims, clusterId }: VerifiedNode): void {
  if (recorded === undefined) return;
  if (recorded.state === "abandoned") {
    if (claims.showsNoLock !== true) return;
    // A member of the abandoned cluster that was taken over would look fresh, for as long as it runs.
    throw clusterExists(recorded);
  }
  const resetCountWentBack = (claims.resetCount ?? 0) < (recorded.resetCount ?? 0);
  const mayHaveLocked = claims.showsNoLock === true && recorded.clusterId !== hex(clusterId);
  if (claims.identity !== recorded.identity || resetCountWentBack || mayHaveLocked) throw clusterExists(recorded);
}

async function newRecord(options: InitOptions, { claims, clusterId }: VerifiedNode): Promise<ClusterRecord> {
  return {
    version: 1,
    clusterName: options.clusterName,
    state: "pending",
    clusterId: hex(clusterId),
    identity: claims.identity,
    operationId: hex(randomBytes(OPERATION_ID_LENGTH)),
    operatorKey: hex(options.operator.spki),
    clusterDocument: options.clusterDocument,
    policyDocument: options.policyDocument,
    adminKeyPem: await privateKeyPem(await generateKeyPair("p-256")),
    ...(claims.resetCount === undefined ? {} : { resetCount: claims.resetCount }),
    ...(claims.showsNoLock === true ? { showsNoLock: true } : {}),
    time: options.clock.now().toISOString(),
  };
}

function clusterExists({ clusterName, clusterId, identity, state, time }: ClusterRecord): BootstrapError {
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
        ? `Use its kubeconfig; or give it up with "bootstrapper abandon ${clusterName}"`
        : `Run init against that machine again; or give the cluster up with "bootstrapper abandon ${clusterName}"`,
      details: { clusterName, clusterId: `sha256:${clusterId}`, identity },
    },
  );
}
