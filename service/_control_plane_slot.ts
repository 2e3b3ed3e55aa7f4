import * as v from "valibot";
import type { LeaseApi, StoredLease } from "../kubernetes/lease.ts";
import { Leases } from "../kubernetes/lease.ts";
import { BOOTSTRAPPER_NAMESPACE } from "../kubernetes/cluster_rbac.ts";
import { BootstrapError, hasCode } from "../platform/errors.ts";

/** A node that wants to join as a control plane. */
export interface QueuedNode {
  /** The identity that its evidence proved, 64 characters of lower-case hexadecimal. */
  readonly identity: string;
  /** The Node's name; its etcd member has the same. */
  readonly nodeName: string;
  /** Its address, which is also the host of its etcd member's peer URL. */
  readonly address: string;
}

/** Who may join now. */
export interface Slot extends QueuedNode {
  /** Since when, milliseconds since 1970 by the clock of the service that gave it. */
  readonly acquiredMs: number;
}

/** A place in the queue. */
export interface Place {
  /** Whose it is. An identity has one place. */
  readonly identity: string;
  /** The Node's name. */
  readonly nodeName: string;
  /** When it asked first, milliseconds since 1970 by the clock of the service that heard it. */
  readonly sinceMs: number;
  /** When it asked last, likewise. */
  readonly lastAskedMs: number;
}

/** The slot and those that wait for it, in order. */
export interface QueueState {
  readonly slot?: Slot;
  /** How often the slot was taken. */
  readonly turns: number;
  readonly waiting: readonly Place[];
}

/** The queue's state, and the version of the Lease that says so, if there is one. */
export interface StoredQueue extends QueueState {
  readonly lease?: StoredLease;
}

/** The name of the Lease. */
const CONTROL_PLANE_LEASE = "control-plane-join";

/** How long a node has the slot, seconds: 15 minutes. A join takes one to six, on the slowest machines that were tried. */
export const SLOT_SECONDS = 900;

/** When a node that waits should ask again, seconds. */
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

/** The queue as a Lease keeps it: the holder in its fields, and names, addresses and those that wait in an annotation. */
export class ControlPlaneSlot {
  readonly #leases: Leases;

  /** Nothing is sent yet. */
  constructor(api: LeaseApi) {
    this.#leases = new Leases(api, BOOTSTRAPPER_NAMESPACE);
  }

  /** Throws `malformed/control-plane-queue` if somebody else has written into the Lease. */
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

  /** Writes a new state over exactly the one that was read; gives `false`, and changes nothing, if there is another by now. */
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
    // Never renewed: who is still at it after the whole time has to ask again.
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
