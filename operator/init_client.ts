/**
 * `bootstrapper init`, from the operator's machine: founds a cluster on one fresh node.
 *
 * @module
 */
import type { EvidenceClaims, EvidenceVerifier } from "../attestation/evidence.ts";
import type { AcceptedTrust } from "../attestation/policy/accepted_trust.ts";
import { clusterIdText } from "../certificate/cluster_id.ts";
import { readPrivateKeyPem } from "../certificate/keys.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { fromHex } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { checkClockSkew } from "../platform/clock_skew.ts";
import type { AnyErrorCode } from "../platform/errors.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { FailedTry } from "../platform/retry.ts";
import { retry } from "../platform/retry.ts";
import type { Founding, InitRequest, ProgressEvent } from "../proto/gen/bootstrapper.ts";
import { PeerError } from "../protocol/refusal.ts";
import { dialInitServer } from "./_dial.ts";
import { isFreshStill, isLoss, lostForGood, stoppedInit } from "./_init_losses.ts";
import { OperationWatch } from "./_operation_watch.ts";
import type { ClusterRecord, HeldRecord } from "./cluster_records.ts";
import type { InitClientDeadlines, InitExchange, NodeSays, VerifiedNode } from "./exchange_client.ts";
import { acknowledge, awaitResult, INIT_CLIENT_DEADLINES, requestInit, verifyNode } from "./exchange_client.ts";
import { initExpectation } from "./expectation.ts";
import { addressRemark, checkClusterName } from "./node_says.ts";
import type { OperationSettings } from "./operation_record.ts";
import {
  checkRecord,
  clusterExists,
  isAgain,
  newRecord,
  operationLost,
  sameSettings,
  withoutFounding,
} from "./operation_record.ts";

/** What the operator decides. */
export interface InitOptions extends OperationSettings {
  /** `host:port` of the node's InitServer. */
  readonly endpoint: string;
  readonly operator: KeyPair;
  /** SPKIs of all operators in the node's configuration, including this one. */
  readonly operatorKeys: readonly Uint8Array[];
  /** What the policy accepts of the node's configuration. */
  readonly accepted: AcceptedTrust;
  /** Verifies the node, by the policy. */
  readonly verifier: EvidenceVerifier;
  /** The only identity that the node may have, lower-case hexadecimal. */
  readonly expectIdentity?: string;
  /** The record of the name, which this process holds. */
  readonly record: HeldRecord;
  readonly clock: Clock;
  /** The source of the jitter between connections: numbers from 0 to 1. */
  readonly random: () => number;
  /** How long the init goes on without progress once an InitServer has answered, milliseconds. */
  readonly patienceMs: number;
  /** Ends the call. A locked node goes on. */
  readonly signal: AbortSignal;
  /** Default: {@linkcode INIT_CLIENT_DEADLINES}. */
  readonly deadlines?: InitClientDeadlines;
  /** Called when the node is verified. Only the hello has been signed then. */
  onVerified(claims: EvidenceClaims, clusterId: string, again: boolean): void;
  /** Called with what the operator should know before anything is signed, as a sentence without a full stop. */
  onRemark?(remark: string): void;
  /** Called for each event of the node. */
  onProgress(event: ProgressEvent): void;
  /** Called when the node is lost, or cannot begin yet, before the pause and the next call. */
  onLost(lost: LostNode): void;
  /** Keeps what the operator gets. The node is told only afterwards. */
  keep(cluster: NewCluster): Promise<void>;
}

/** A node that was lost, or cannot begin yet. */
export interface LostNode extends FailedTry {
  /** What was last seen of the operation, as text for people. */
  readonly lastSeen: string;
}

/** What the operator gets. */
export interface NewCluster {
  /** `sha256:…` */
  readonly clusterId: string;
  readonly clusterName: string;
  /** PEM. */
  readonly caCertificatePem: string;
  /** PEM. */
  readonly adminCertificatePem: string;
  /** PKCS#8 PEM. The key was made on this machine and never left it. */
  readonly adminKeyPem: string;
  readonly founding: Founding;
  /** `host:port` of the API server. */
  readonly apiEndpoints: readonly string[];
  /** `host:port` of the join services. */
  readonly joinEndpoints: readonly string[];
  readonly nodeName: string;
}

/**
 * Founds a cluster, or continues a founding that was interrupted. Once an InitServer has answered, the init keeps to it:
 * when it loses the node, or the node cannot begin yet, it connects again, until the operation has made no progress for
 * `patienceMs`. A node that was lost before its lock shows that it is fresh, and the operation begins anew; where a
 * node's evidence has no register for the lock, the loss ends the init. An address where no InitServer ever answered is
 * tried once, as it may be wrong.
 *
 * @throws {BootstrapError} `precondition/cluster-exists`, `refused/…`, `unavailable/…`, or the error with which the
 *   node refused or failed; `precondition/operation-lost`; `timeout/init` without progress, with the last cause;
 *   `aborted/init`.
 */
export async function foundOnNode(options: InitOptions): Promise<NewCluster> {
  const { record, endpoint, clock, random, signal } = options;
  if (record.current?.state === "founded") throw clusterExists(record.current);
  const operation = new InitOperation(options);
  const { watch } = operation;
  try {
    return await retry((startOver) => operation.call(startOver), {
      clock,
      random,
      signal,
      isRetriable: (error) => operation.mayWorkLater(error) && !watch.isOver,
      onFailedTry: (failed) => {
        operation.firstLoss ??= failed.error;
        options.onLost({ ...failed, lastSeen: watch.lastSeen });
      },
    });
  } catch (thrown) {
    const { founded, recorded } = operation;
    if (founded !== undefined) return founded;
    if (signal.aborted) throw stoppedInit(watch, thrown);
    const error = asBootstrapError(thrown);
    if (!operation.mayWorkLater(error)) throw thrown;
    throw watch.gaveUp(endpoint, error, { operation: recorded?.operationId ?? "" });
  }
}

/** What a call says to an address where no InitServer is any more. */
const GONE: readonly AnyErrorCode[] = ["unavailable/init-server", "unavailable/name-resolution", "timeout/connect"];

/**
 * A node that was not told waits an hour for its operator, so the call is made again. The peer's ordinary end says that it
 * was told.
 */
function checkEnd({ closed: { reason } }: InitExchange): void {
  if (reason instanceof BootstrapError && reason.code !== "unavailable/peer-gone") throw reason;
}

/** One operation, over all its connections. */
class InitOperation {
  readonly watch: OperationWatch;
  /** What the operator got, once it is kept. */
  founded: NewCluster | undefined;
  /** The error with which the node was lost for the first time. */
  firstLoss: BootstrapError | undefined;
  readonly #options: InitOptions;
  #recorded: ClusterRecord | undefined;
  #hasRemarked = false;
  #hasAnswered = false;
  #isLostForGood = false;

  constructor(options: InitOptions) {
    this.#options = options;
    this.#recorded = options.record.current;
    this.watch = new OperationWatch(options.clock, options.patienceMs);
  }

  /** The record of the name while the operation was pending. */
  get recorded(): ClusterRecord | undefined {
    return this.#recorded;
  }

  /** Whether another call may work after this error: the node has answered before, and time may mend it. */
  mayWorkLater(error: BootstrapError): boolean {
    return (this.#hasAnswered || error instanceof PeerError) && !this.#isLostForGood && isLoss(error) &&
      !this.#isDoneWithout(error);
  }

  /** Whether everything is kept, and the node that should be told is gone: it ends its InitServer by itself. */
  #isDoneWithout({ code }: BootstrapError): boolean {
    return this.founded !== undefined && GONE.includes(code);
  }

  /**
   * Calls the node once, from the hello to the acknowledgement. Calls `startOver` when the operation makes progress.
   */
  async call(startOver: () => void): Promise<NewCluster> {
    const { endpoint, signal } = this.#options;
    using dialled = await dialInitServer(endpoint, signal, this.#recorded);
    const node = await this.#verify(dialled.exchange);
    const cluster = await this.watch.following(() => this.#found(dialled.exchange, node, startOver));
    this.founded ??= await this.#keep(cluster);
    await acknowledge(dialled.exchange);
    await dialled.finish();
    checkEnd(dialled.exchange);
    return this.founded;
  }

  /** Steps 1 to 3. Only the hello has been signed then. */
  async #verify(exchange: InitExchange): Promise<VerifiedNode> {
    const { endpoint, operator, verifier, expectIdentity, clock, onVerified, onRemark } = this.#options;
    const { deadlines = INIT_CLIENT_DEADLINES } = this.#options;
    const recorded = this.#recorded;
    let remark: string | undefined;
    let clocksDiffer: unknown;
    const expectationFor = (clusterId: Uint8Array, _evidence: unknown, says: NodeSays) => {
      checkClusterName(this.#options.clusterName, says);
      clocksDiffer = clockProblem(says, clock.now());
      remark = addressRemark(endpoint, says);
      return initExpectation(this.#options, this.#options.accepted, clusterId, isAgain(recorded, clusterId));
    };
    const node = await verifyNode(exchange, operator, verifier, expectationFor, deadlines);
    this.#hasAnswered = true;
    if (expectIdentity !== undefined && node.claims.identity !== expectIdentity) {
      throw new BootstrapError("refused/identity", "The node has another identity than expected", {
        details: { check: "identity", expected: expectIdentity, seen: node.claims.identity },
      });
    }
    this.#check(recorded, node);
    if (remark !== undefined && !this.#hasRemarked) {
      this.#hasRemarked = true;
      onRemark?.(remark);
    }
    // Before anything is recorded or signed: each founding of a fresh node is of another cluster.
    if (clocksDiffer !== undefined) throw clocksDiffer;
    const again = isAgain(recorded, node.clusterId);
    if (!again) {
      if (recorded !== undefined && this.watch.isLocked) throw operationLost(recorded);
      this.watch.beginsAnew();
    }
    onVerified(node.claims, clusterIdText(node.clusterId), again);
    return node;
  }

  /** Checks the record. A loss that cannot be made good is the reason for the end, and not what shows that. */
  #check(recorded: ClusterRecord | undefined, node: VerifiedNode): void {
    try {
      checkRecord(recorded, node);
    } catch (refused) {
      const isSameMachine = recorded?.state === "pending" && recorded.identity === node.claims.identity;
      if (this.firstLoss === undefined || this.watch.isLocked || !isSameMachine || !node.claims.showsNoLock) {
        throw refused;
      }
      this.#isLostForGood = true;
      throw lostForGood(this.firstLoss, asBootstrapError(refused));
    }
  }

  /** Steps 4 and 5, up to the result. */
  async #found(exchange: InitExchange, node: VerifiedNode, startOver: () => void): Promise<NewCluster> {
    const { record, operator, clock, deadlines = INIT_CLIENT_DEADLINES } = this.#options;
    const before = this.#recorded;
    const again = isAgain(before, node.clusterId);
    const current = before !== undefined && again
      ? sameSettings(before, this.#options)
      : await newRecord(this.#options, node, clock, before);
    if (current !== before) await record.write(current);
    this.#recorded = current;
    if (again) this.watch.goesOn(current.heard ?? 0);
    const adminKeys = await readPrivateKeyPem(current.adminKeyPem, "recorded admin key");
    const { heard } = this.watch;
    try {
      this.watch.mayLock();
      const { founding, a2 } = await requestInit(exchange, operator, node, requestOf(current, adminKeys, clock), heard);
      const result = await awaitResult(exchange, {
        clusterId: node.clusterId,
        adminKey: adminKeys.spki,
        a2,
        clock,
        heard,
        again,
        silenceMs: () => this.watch.silenceMs(deadlines.progressMs),
        onProgress: (event) => this.#hear(event, current, startOver),
      });
      return {
        clusterId: clusterIdText(node.clusterId),
        clusterName: current.clusterName,
        caCertificatePem: writePem("CERTIFICATE", result.caCertificate.der),
        adminCertificatePem: writePem("CERTIFICATE", result.adminCertificate.der),
        adminKeyPem: current.adminKeyPem,
        founding,
        apiEndpoints: result.apiEndpoints,
        joinEndpoints: result.joinEndpoints,
        nodeName: result.nodeName,
      };
    } catch (error) {
      if (isFreshStill(error)) {
        this.watch.staysFresh();
        this.#recorded = withoutFounding(current);
        await record.write(this.#recorded);
      }
      throw error;
    }
  }

  async #hear(event: ProgressEvent, current: ClusterRecord, startOver: () => void): Promise<void> {
    const { record, onProgress } = this.#options;
    onProgress(event);
    if (this.watch.hear(event)) startOver();
    if (event.state !== "detail" && this.founded === undefined) await record.write({ ...current, heard: event.number });
  }

  async #keep(cluster: NewCluster): Promise<NewCluster> {
    const { record, keep } = this.#options;
    await keep(cluster);
    const pending = record.current ?? this.#recorded;
    if (pending !== undefined) await record.write({ ...pending, state: "founded", adminKeyPem: "" });
    return cluster;
  }
}

/** The error for a node that says another time than this machine's. A node of an earlier version says none. */
function clockProblem({ timeMs }: NodeSays, now: Date): unknown {
  if (timeMs === undefined) return undefined;
  try {
    checkClockSkew(timeMs, now);
    return undefined;
  } catch (error) {
    return error;
  }
}

function requestOf(record: ClusterRecord, adminKeys: KeyPair, clock: Clock): InitRequest {
  const { operationId, clusterName, clusterDocument, policyDocument } = record;
  return {
    operationId: fromHex(operationId, "operationId"),
    clusterName,
    clusterDocument,
    policyDocument,
    adminKey: adminKeys.spki,
    timeMs: BigInt(clock.now().getTime()),
  };
}
