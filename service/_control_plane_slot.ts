import * as v from "valibot";
import type { LeaseApi, StoredLease } from "../kubernetes/lease.ts";
import { Leases } from "../kubernetes/lease.ts";
import { BOOTSTRAPPER_NAMESPACE } from "../kubernetes/cluster_rbac.ts";
import { BootstrapError, hasCode } from "../platform/errors.ts";

/** A node that wants to join as a control plane. */
export interface QueuedNode {
  /** The identity that its evidence proved, 64 characters of lower-case hexadecimal. */
  readonly identity: string;
  /** The Node's name. Its etcd member has the same name. */
  readonly nodeName: string;
  /** The node's address, which is also the host of its etcd member's peer URL. */
  readonly address: string;
}

/** The turn of the node that may join now. */
export interface Slot extends QueuedNode {
  /** When the turn began, milliseconds since 1970 by the clock of the service that gave it. */
  readonly acquiredMs: number;
}

/** A place in the queue. */
export interface Place {
  /** The node's identity. An identity has one place. */
  readonly identity: string;
  readonly nodeName: string;
  /** When the node first asked, milliseconds since 1970 by the clock of the service that heard it. */
  readonly sinceMs: number;
  /** When the node last asked, milliseconds since 1970 by the clock of the service that heard it. */
  readonly lastAskedMs: number;
}

/** The slot, and the nodes that wait for it, in order. */
export interface QueueState {
  readonly slot?: Slot;
  /** How often the slot was taken. */
  readonly turns: number;
  readonly waiting: readonly Place[];
}

/** The queue's state, and the version of the Lease that holds it, if there is one. */
export interface StoredQueue extends QueueState {
  readonly lease?: StoredLease;
}

const CONTROL_PLANE_LEASE = "control-plane-join";

/**
 * How long a node has the slot, seconds: 30 minutes. A join takes one to six minutes on the slowest machines that were
 * tried; but the node gives kubeadm 25 minutes to add its learner and to promote it, and a learner that is removed before
 * that has been taken from a node that works.
 */
export const SLOT_SECONDS = 1800;

/** After how many seconds a waiting node should ask again. */
export const RETRY_AFTER_SECONDS = 10;

const ANNOTATION = "control-plane-queue";

const timeSchema = v.pipe(v.string(), v.isoTimestamp(), v.transform((text) => Date.parse(text)));

const annotationSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    holder: v.optional(v.object({ identity: v.string(), nodeName: v.string(), address: v.string() })),
    waiting: v.array(
      v.object({ identity: v.string(), nodeName: v.string(), since: timeSchema, lastAsked: timeSchema }),
    ),
  }),
);

/**
 * The queue as a Lease keeps it. The Lease's fields name the holder; an annotation has names, addresses and the waiting
 * nodes.
 */
export class ControlPlaneSlot {
  readonly #leases: Leases;

  /** Creates a slot that has not asked the API server yet. */
  constructor(api: LeaseApi) {
    this.#leases = new Leases(api, BOOTSTRAPPER_NAMESPACE);
  }

  /** Throws `malformed/control-plane-queue` if another program has written into the Lease. */
  async read(): Promise<StoredQueue> {
    const lease = await this.#leases.find(CONTROL_PLANE_LEASE);
    if (lease === undefined) return { turns: 0, waiting: [] };
    const { holder, transitions: turns, annotations } = lease;
    const result = v.safeParse(annotationSchema, annotations[ANNOTATION] ?? '{"waiting":[]}');
    if (!result.success || result.output.holder?.identity !== holder?.identity) throw malformed(result.issues?.[0]);
    const { holder: node, waiting } = result.output;
    return {
      lease,
      turns,
      waiting: waiting.map(({ since: sinceMs, lastAsked: lastAskedMs, ...rest }) => ({
        ...rest,
        sinceMs,
        lastAskedMs,
      })),
      ...(holder && node ? { slot: { ...node, acquiredMs: holder.acquireTime.getTime() } } : {}),
    };
  }

  /**
   * Writes a new state over exactly the state that was read. Returns `false`, and changes nothing, if the Lease has
   * changed.
   */
  async write({ lease }: StoredQueue, { slot, turns: transitions, waiting }: QueueState): Promise<boolean> {
    const holder = slot && { identity: slot.identity, nodeName: slot.nodeName, address: slot.address };
    const places = waiting.map(({ identity, nodeName, sinceMs, lastAskedMs }) => ({
      identity,
      nodeName,
      since: new Date(sinceMs).toISOString(),
      lastAsked: new Date(lastAskedMs).toISOString(),
    }));
    const annotations = { [ANNOTATION]: JSON.stringify({ holder, waiting: places }) };
    const acquireTime = new Date(slot?.acquiredMs ?? 0);
    // The Lease is never renewed: a holder that is not done after the whole time has to ask again.
    const times = { acquireTime, renewTime: acquireTime, durationSeconds: SLOT_SECONDS };
    const state = { transitions, annotations, ...(slot && { holder: { identity: slot.identity, ...times } }) };
    try {
      if (lease === undefined) await this.#leases.create(CONTROL_PLANE_LEASE, state);
      else await this.#leases.update(lease, state);
      return true;
    } catch (error) {
      const isLost = lease === undefined
        ? hasCode(error, "conflict/already-exists")
        : hasCode(error, "conflict/changed", "precondition/not-found");
      if (isLost) return false;
      throw error;
    }
  }
}

function malformed(issue: v.BaseIssue<unknown> | undefined): BootstrapError {
  const field = (issue && v.getDotPath(issue)) ?? "holder";
  const message = `Cannot read "${field}" of the Lease ${CONTROL_PLANE_LEASE} in ${BOOTSTRAPPER_NAMESPACE}`;
  return new BootstrapError("malformed/control-plane-queue", message, {
    next:
      `Have an operator delete the Lease ${CONTROL_PLANE_LEASE} in ${BOOTSTRAPPER_NAMESPACE}; waiting nodes ask again`,
    details: { lease: CONTROL_PLANE_LEASE, field },
  });
}
