/**
 * A join service's work for control planes: their turns, their keys, and the etcd members of those that are removed.
 *
 * @module
 */
import type { AdmissionRecords } from "../kubernetes/admission_records.ts";
import type { KubernetesApi } from "../kubernetes/api.ts";
import {
  CREDENTIAL_KEY_FILES,
  readClusterKeys,
  readEtcdCredentials,
  wipeClusterKeys,
} from "../kubernetes/cluster_keys.ts";
import { EtcdCluster } from "../kubernetes/etcd.ts";
import type { EtcdHealth } from "../kubernetes/etcd_health.ts";
import type { Clock } from "../platform/clock.ts";
import type { AnyErrorCode } from "../platform/errors.ts";
import { asBootstrapError } from "../platform/errors.ts";
import { hostAndPort } from "../platform/host.ts";
import { addressBytes, familyOf } from "../platform/ip_address.ts";
import { errorFields } from "../platform/log.ts";
import type { Log } from "../platform/log.ts";
import type { SealedKit } from "../proto/gen/bootstrapper.ts";
import { ControlPlaneQueue } from "./control_plane_queue.ts";
import type { QueuedNode } from "./control_plane_queue.ts";
import type { ControlPlaneAdmission } from "./exchange_parts.ts";
import { runRemovals } from "./removals.ts";
import { sealKit } from "../protocol/sealed_kit.ts";

/** What {@linkcode ControlPlanes} works with. */
export interface ControlPlanesParts {
  /** The API server, with the join service's rights. */
  readonly api: KubernetesApi;
  readonly admissions: AdmissionRecords;
  /** The folder of the unit's credentials. */
  readonly credentialsFolder: string;
  /** The policy in force, YAML. The join service of a new control plane takes it over. */
  readonly policyDocument: () => string;
  /** Where this control plane's etcd member listens for clients; see {@linkcode ownEtcd}. */
  readonly etcd: string;
  /** The front's socket for connections to other members of etcd. */
  readonly dialer: string;
  readonly clock: Clock;
  readonly log: Log;
}

const ETCD_CLIENT_PORT = 2379;
/** A node that waits for its turn is idle. A look is a list of etcd's members, only while a node has the turn. */
const LOOK_MS = 2_000;
const LONGEST_LOOK_MS = 30_000;

/**
 * Returns where kubeadm has the etcd member of a control plane listen for clients, `host:port`: at the loopback address
 * of the family of the node's own address (`GetEtcdArguments()` in its `phases/etcd/local.go`).
 *
 * @param host The node's address.
 */
export function ownEtcd(host: string): string {
  const bytes = addressBytes(host);
  return hostAndPort(bytes !== undefined && familyOf(bytes) === 6 ? "::1" : "127.0.0.1", ETCD_CLIENT_PORT);
}

/** The control planes of a cluster, as one join service sees them. */
export class ControlPlanes implements ControlPlaneAdmission, Disposable {
  readonly #parts: ControlPlanesParts;
  readonly #queue: ControlPlaneQueue;
  #etcd: EtcdCluster | undefined;

  /** Creates an admission that has not read anything yet. */
  constructor(parts: ControlPlanesParts) {
    this.#parts = parts;
    const { api, admissions, clock } = parts;
    this.#queue = new ControlPlaneQueue({
      api,
      clock,
      records: admissions,
      etcd: () => this.#health(),
      removeMember: (id) => this.#remove(id),
    });
  }

  /** Returns when it is the node's turn; see {@linkcode ControlPlaneQueue.enter}. */
  enter(node: QueuedNode): Promise<void> {
    return this.#queue.enter(node);
  }

  /** Frees the turn of a node that its InitServer got instead. */
  release(identity: string): Promise<boolean> {
    return this.#queue.release(identity);
  }

  /** Returns the cluster's keys, sealed. They are read for this one node and then forgotten. */
  async seal(sealingKey: Uint8Array, a2: Uint8Array): Promise<SealedKit> {
    const { credentialsFolder, policyDocument } = this.#parts;
    const keys = await readClusterKeys(credentialsFolder, CREDENTIAL_KEY_FILES);
    try {
      return await sealKit(sealingKey, a2, { keys, policyDocument: policyDocument() });
    } finally {
      wipeClusterKeys(keys);
    }
  }

  /** Frees the turns of nodes that have joined, and serves removals, until the signal. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { api, clock, log } = this.#parts;
    const etcd = { health: () => this.#health(), remove: (id: string) => this.#remove(id) };
    await Promise.all([runRemovals({ api, etcd, clock, log }, signal), this.#releaseTurns(signal)]);
  }

  /** Closes the connection to etcd. */
  [Symbol.dispose](): void {
    this.#etcd?.[Symbol.dispose]();
  }

  async #releaseTurns(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#parts;
    let reported: AnyErrorCode | undefined;
    for (let pauseMs = LOOK_MS; !signal.aborted;) {
      try {
        if (await this.#queue.releaseIfPromoted()) log.event("info", "control-plane-joined");
        pauseMs = LOOK_MS;
        reported = undefined;
      } catch (cause) {
        const error = asBootstrapError(cause);
        if (error.code !== reported) log.event("warn", "control-plane-queue-failed", errorFields(error));
        reported = error.code;
        pauseMs = Math.min(2 * pauseMs, LONGEST_LOOK_MS);
      }
      await clock.sleep(pauseMs, signal).catch(() => {});
    }
  }

  async #health(): Promise<EtcdHealth> {
    return await (await this.#connected()).health();
  }

  async #remove(id: string): Promise<boolean> {
    return await (await this.#connected()).remove(id);
  }

  async #connected(): Promise<EtcdCluster> {
    const { credentialsFolder, etcd, dialer } = this.#parts;
    return this.#etcd ??= new EtcdCluster([etcd], await readEtcdCredentials(credentialsFolder), { dialer });
  }
}
