/**
 * The queue of control planes: one joins at a time, because etcd takes one learner at a time.
 *
 * All join services of a cluster share the queue. It is the Lease `control-plane-join` in the cluster itself, which is
 * changed by compare-and-swap only. So there is one holder, whatever the services' clocks say. A slot is never taken
 * from a holder before its time is over; {@linkcode Sightings} tells when that is.
 *
 * @module
 */
import type { AdmissionRecords } from "../kubernetes/admission_records.ts";
import type { EtcdHealth, EtcdMember } from "../kubernetes/etcd_health.ts";
import type { LeaseApi } from "../kubernetes/lease.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import {
  checkCanJoin,
  checkMembers,
  isMemberOf,
  isPromoted,
  leftoversOf,
  removeLeftover,
} from "./_control_plane_members.ts";
import { notYet, queueChanged, queueFull } from "./_control_plane_refusals.ts";
import { ControlPlaneSlot, RETRY_AFTER_SECONDS, SLOT_SECONDS } from "./_control_plane_slot.ts";
import type { Place, QueuedNode, QueueState, StoredQueue } from "./_control_plane_slot.ts";
import { Sightings } from "./_sightings.ts";

export type { QueuedNode } from "./_control_plane_slot.ts";

/** What a {@linkcode ControlPlaneQueue} works with. */
export interface ControlPlaneQueueParts {
  /** The cluster's API, with the rights that `deploy/rbac.yaml` gives the join service. */
  readonly api: LeaseApi;
  readonly clock: Clock;
  /** Tells who is in etcd, and which members are healthy. */
  readonly etcd: () => Promise<EtcdHealth>;
  /** Removes a member of etcd by its ID. A missing member is no error. */
  readonly removeMember: (id: string) => Promise<unknown>;
  /** Tells who is admitted under a name. */
  readonly records: Pick<AdmissionRecords, "byName">;
}

/** How many nodes may wait. More than seven control planes are of no use to etcd. */
const MAXIMUM_WAITING = 32;

/** A node that has not asked for this long has lost its place. This is six times as long as it was told to wait. */
const PLACE_KEPT_MS = 6 * RETRY_AFTER_SECONDS * 1000;

/** How often a change starts anew because another service has changed the Lease in between. */
const ATTEMPTS = 16;
/** The longest pause before the second attempt. It doubles with each attempt, up to `LONGEST_PAUSE_MS`. */
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;

/** The queue as it stands now, without the places that were lost. */
interface View extends QueueState {
  /** Whether the holder's time is over. */
  readonly isOver: boolean;
}

/** The state to write, if any, and the error that the node then gets, if any. */
interface Outcome {
  readonly state?: QueueState;
  readonly refusal?: BootstrapError;
}

/** A look at etcd. */
interface Look {
  /** What etcd showed, or the error why it showed nothing. */
  readonly etcd: EtcdHealth | BootstrapError;
  /** How often the slot had been taken by then. */
  readonly turns: number;
}

/** The queue, as one join service sees it. */
export class ControlPlaneQueue {
  readonly #parts: ControlPlaneQueueParts;
  readonly #slot: ControlPlaneSlot;
  readonly #sightings: Sightings;

  /** Creates a queue that has not been asked yet. */
  constructor(parts: ControlPlaneQueueParts) {
    this.#parts = parts;
    this.#slot = new ControlPlaneSlot(parts.api);
    this.#sightings = new Sightings(parts.clock);
  }

  /**
   * Returns when the node has the slot, for 30 minutes. A holder that asks again gets through at once.
   *
   * @throws {BootstrapError} All but the conflict are retriable:
   * - `unavailable/control-plane-queue`: another node has the slot or comes first; details `position`, `waiting`,
   *   `holder` and `retryAfterSeconds`;
   * - `unavailable/queue-full`: too many nodes wait, and this node has no place; details `waiting` and
   *   `retryAfterSeconds`;
   * - `unavailable/etcd-learner`: etcd has a learner that is not this node's; details `member`, `id` and
   *   `retryAfterSeconds`;
   * - `unavailable/etcd-quorum`: etcd cannot take a member, or cannot remove what a dead join left;
   * - `unavailable/control-plane-queue-changed`: too many nodes asked at the same moment;
   * - `conflict/etcd-member`: a member of that name or address belongs to another node.
   *
   * Also `malformed/control-plane-queue` for a Lease that another program wrote, and what the parts throw.
   */
  async enter(node: QueuedNode): Promise<void> {
    let turns = 0;
    const keepsIt = await this.#change((view) => {
      turns = view.turns;
      return this.#keep(view, node);
    });
    if (keepsIt) return;
    // etcd is asked between two readings of the Lease. A vote counts if the first reading showed the same turn, because
    // it may be from before that turn. What a holder left counts if the second reading still names the holder, because
    // it may be the next holder's.
    const etcd = await this.#parts.etcd().catch((error) => asBootstrapError(error));
    if (!(etcd instanceof BootstrapError) && !etcd.leaderless) {
      await checkMembers(etcd, node, async (name) => (await this.#parts.records.byName(name))?.identity);
    }
    await this.#change((view) => this.#keep(view, node) ?? this.#turn(view, node, { etcd, turns }));
  }

  /**
   * Frees the slot if that identity has it, and returns whether it did. Call it only for a node that cannot have got
   * its ticket, or whose member is out of etcd again.
   */
  release(identity: string): Promise<boolean> {
    return this.#change(({ slot, ...rest }) => slot?.identity === identity ? { state: rest } : undefined);
  }

  /**
   * Frees the slot if its holder is now a healthy voting member of etcd and no learner is left, and returns whether it
   * did. Call it now and then, whether nodes ask or not.
   */
  releaseIfPromoted(): Promise<boolean> {
    return this.#change(async ({ slot, ...rest }) =>
      slot !== undefined && isPromoted(await this.#parts.etcd(), slot) ? { state: rest } : undefined
    );
  }

  /** Changes the queue as `decide` says, and returns `true`; returns `false` if `decide` gives nothing. */
  async #change(decide: (view: View) => Outcome | undefined | Promise<Outcome | undefined>): Promise<boolean> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const stored = await this.#slot.read();
      const outcome = await decide(this.#view(stored));
      if (outcome === undefined) return false;
      if (outcome.state === undefined || await this.#write(stored, outcome.state)) {
        if (outcome.refusal !== undefined) throw outcome.refusal;
        return true;
      }
      await this.#parts.clock.sleep(Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt));
    }
    throw queueChanged();
  }

  /** Writes a state. What this service has written, it has seen. */
  async #write(stored: StoredQueue, state: QueueState): Promise<boolean> {
    const isWritten = await this.#slot.write(stored, state);
    if (isWritten) this.#view(state);
    return isWritten;
  }

  #view({ slot, turns, waiting }: QueueState): View {
    const turn = `turn ${turns}`;
    this.#sightings.keepOnly([turn, ...waiting.map(({ identity }) => identity)]);
    const isKept = (place: Place) => this.#sightings.ageMs(place.identity, place.lastAskedMs) < PLACE_KEPT_MS;
    const isOver = slot !== undefined && this.#sightings.ageMs(turn, slot.acquiredMs) >= SLOT_SECONDS * 1000;
    return { turns, waiting: waiting.filter(isKept), isOver, ...(slot && { slot }) };
  }

  /** Lets a holder that asks again continue. Its time starts anew if no other node waits. */
  #keep(view: View, node: QueuedNode): Outcome | undefined {
    const { slot, waiting, isOver } = view;
    if (slot?.identity !== node.identity || slot.address !== node.address || isOver) return undefined;
    return waiting.length === 0 ? { state: this.#taken(view, node) } : {};
  }

  #taken({ turns, waiting }: QueueState, node: QueuedNode): QueueState {
    const slot = { ...node, acquiredMs: this.#parts.clock.now().getTime() };
    return { slot, turns: turns + 1, waiting: waiting.filter(({ identity }) => identity !== node.identity) };
  }

  /** Answers a node that does not have the slot: it gets the slot, or keeps or gets a place and the reason. */
  async #turn(view: View, node: QueuedNode, { etcd, turns }: Look): Promise<Outcome> {
    const { slot, ...rest } = view;
    const isPromotedNow = slot !== undefined && view.turns === turns && !(etcd instanceof BootstrapError) &&
      isPromoted(etcd, slot);
    const isFree = slot === undefined || view.isOver || isPromotedNow;
    // The holder's address has changed during its own turn. etcd may have a learner at the old address, which no other
    // node would know as its own.
    const hasMoved = !isFree && slot.identity === node.identity;
    const waiting = hasMoved ? view.waiting : this.#placed(view.waiting, node);
    const state: QueueState = { ...(isPromotedNow ? rest : view), waiting };
    if (!hasMoved && (!isFree || state.waiting[0]?.identity !== node.identity)) {
      if (state.waiting.length > MAXIMUM_WAITING) throw queueFull(view.waiting.length);
      return { state, refusal: notYet(state, node, isFree ? undefined : slot) };
    }
    try {
      if (etcd instanceof BootstrapError) throw etcd;
      checkCanJoin(state.slot === undefined ? etcd : await this.#clear(etcd, state.slot, node), node);
      if (hasMoved && waiting.length > 0) return { state: { ...state, slot: { ...slot, address: node.address } } };
      return { state: this.#taken(state, node) };
    } catch (error) {
      return { state, refusal: asBootstrapError(error) };
    }
  }

  /** The places including the node's own, which is the last if it is new. */
  #placed(waiting: readonly Place[], { identity, nodeName }: QueuedNode): Place[] {
    const nowMs = this.#parts.clock.now().getTime();
    const own = waiting.find((place) => place.identity === identity);
    if (own === undefined) return [...waiting, { identity, nodeName, sinceMs: nowMs, lastAskedMs: nowMs }];
    return waiting.map((place) => place === own ? { ...own, nodeName, lastAskedMs: nowMs } : place);
  }

  /**
   * Removes what a holder left in etcd, when its time is over or its address has changed. Returns the state of etcd
   * after that. What the same holder left at its present address, it removes itself.
   */
  async #clear(etcd: EtcdHealth, over: QueuedNode, next: QueuedNode): Promise<EtcdHealth> {
    let health = etcd;
    const isOwn = (member: EtcdMember) => over.identity === next.identity && isMemberOf(member, next);
    for (const member of leftoversOf(etcd, over).filter((left) => !isOwn(left))) {
      await removeLeftover(health, member, over, this.#parts.removeMember);
      health = { ...health, members: health.members.filter(({ id }) => id !== member.id) };
    }
    return health;
  }
}
