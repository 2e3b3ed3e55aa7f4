/**
 * The queue of control planes: one joins at a time, as etcd takes one learner at a time.
 *
 * All join services of a cluster share it. It is the Lease `control-plane-join` in the cluster itself, changed by
 * compare-and-swap only, so there is one holder whatever the services' clocks say. A slot is never taken from a holder before its
 * time is over: see {@linkcode Sightings} for how that is known.
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
import type { Place, QueuedNode, QueueState } from "./_control_plane_slot.ts";
import { Sightings } from "./_sightings.ts";

export type { QueuedNode } from "./_control_plane_slot.ts";

/** What a {@linkcode ControlPlaneQueue} works with. */
export interface ControlPlaneQueueParts {
  /** The cluster's API, with the rights that `deploy/rbac.yaml` gives the join service. */
  readonly api: LeaseApi;
  /** Time. */
  readonly clock: Clock;
  /** Who is in etcd, and who of them is well. */
  readonly etcd: () => Promise<EtcdHealth>;
  /** Removes a member of etcd by its ID; one that is not there is no error. */
  readonly removeMember: (id: string) => Promise<unknown>;
  /** Who is admitted under a name. */
  readonly records: Pick<AdmissionRecords, "byName">;
}

/** How many may wait. Larger control planes than seven are of no use to etcd. */
const MAXIMUM_WAITING = 32;

/** A node that has not asked for this long has lost its place: six times it was told when to ask again. */
const PLACE_KEPT_MS = 6 * RETRY_AFTER_SECONDS * 1000;

/** How often a change starts anew because another service changed the Lease in between. */
const ATTEMPTS = 16;
/** The longest pause before the second attempt; doubles up to `LONGEST_PAUSE_MS`. */
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;

/** The queue as it stands now: places that were lost are left out. */
interface View extends QueueState {
  /** Whether the holder's time is over. */
  readonly isOver: boolean;
}

/** What is to be written, if anything, and what the node hears when it is. */
interface Outcome {
  readonly state?: QueueState;
  readonly refusal?: BootstrapError;
}

/** A look at etcd. */
interface Look {
  /** What it showed, or why nothing. */
  readonly etcd: EtcdHealth | BootstrapError;
  /** How often the slot had been taken by then. */
  readonly turns: number;
}

/** The queue, as one join service sees it. */
export class ControlPlaneQueue {
  readonly #parts: ControlPlaneQueueParts;
  readonly #slot: ControlPlaneSlot;
  readonly #sightings: Sightings;

  /** Nothing is asked yet. */
  constructor(parts: ControlPlaneQueueParts) {
    this.#parts = parts;
    this.#slot = new ControlPlaneSlot(parts.api);
    this.#sightings = new Sightings(parts.clock);
  }

  /**
   * Returns when the node has the slot, for 15 minutes; a node that asks again while it has it gets through at once.
   *
   * @throws {BootstrapError} All but the conflict are retriable:
   *   - `unavailable/control-plane-queue`: another has the slot or comes first; details `position`, `waiting`, `holder` and
   *     `retryAfterSeconds`;
   *   - `unavailable/queue-full`: too many wait, and this node has no place; details `waiting` and `retryAfterSeconds`;
   *   - `unavailable/etcd-learner`: a learner that is not this node's; details `member`, `id` and `retryAfterSeconds`;
   *   - `unavailable/etcd-quorum`: etcd cannot take a member, or let go of what a dead join left;
   *   - `unavailable/control-plane-queue-changed`: too many asked at the same moment;
   *   - `conflict/etcd-member`: a member of that name or address belongs to somebody else.
   *
   *   Also `malformed/control-plane-queue` for a Lease that somebody else wrote, and what the parts throw.
   */
  async enter(node: QueuedNode): Promise<void> {
    let turns = 0;
    const keepsIt = await this.#change((view) => {
      turns = view.turns;
      return this.#keep(view, node);
    });
    if (keepsIt) return;
    // Between two readings of the Lease. A vote counts if the first showed the same turn, as it may be from before it; what a
    // holder has left counts if the second still names it, as it may be the next one's.
    const etcd = await this.#parts.etcd().catch((error) => asBootstrapError(error));
    if (!(etcd instanceof BootstrapError) && !etcd.leaderless) {
      await checkMembers(etcd, node, async (name) => (await this.#parts.records.byName(name))?.identity);
    }
    await this.#change((view) => this.#keep(view, node) ?? this.#turn(view, node, { etcd, turns }));
  }

  /**
   * Frees the slot if that identity has it; gives whether it did. Only for a node that cannot have got its ticket, or whose
   * member is out of etcd again.
   */
  release(identity: string): Promise<boolean> {
    return this.#change(({ slot, ...rest }) => slot?.identity === identity ? { state: rest } : undefined);
  }

  /**
   * Frees the slot if its holder is now a voting member of etcd, and healthy, and no learner is left; gives whether it did. To
   * be called now and then, whether nodes ask or not.
   */
  releaseIfPromoted(): Promise<boolean> {
    return this.#change(async ({ slot, ...rest }) =>
      slot !== undefined && isPromoted(await this.#parts.etcd(), slot) ? { state: rest } : undefined
    );
  }

  /** Does to the queue what `decide` says, and gives `true`; where that says nothing, `false`. */
  async #change(decide: (view: View) => Outcome | undefined | Promise<Outcome | undefined>): Promise<boolean> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const stored = await this.#slot.read();
      const outcome = await decide(this.#view(stored));
      if (outcome === undefined) return false;
      if (outcome.state === undefined || await this.#slot.write(stored, outcome.state)) {
        if (outcome.refusal !== undefined) throw outcome.refusal;
        return true;
      }
      await this.#parts.clock.sleep(Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt));
    }
    throw queueChanged();
  }

  #view({ slot, turns, waiting }: QueueState): View {
    const turn = `turn ${turns}`;
    this.#sightings.keepOnly([turn, ...waiting.map(({ identity }) => identity)]);
    const isKept = (place: Place) => this.#sightings.ageMs(place.identity, place.lastAskedMs) < PLACE_KEPT_MS;
    const isOver = slot !== undefined && this.#sightings.ageMs(turn, slot.acquiredMs) >= SLOT_SECONDS * 1000;
    return { turns, waiting: waiting.filter(isKept), isOver, ...(slot && { slot }) };
  }

  /** The holder asks again, from where it was. Its time begins anew if that costs nobody anything. */
  #keep(view: View, node: QueuedNode): Outcome | undefined {
    const { slot, waiting, isOver } = view;
    if (slot?.identity !== node.identity || slot.address !== node.address || isOver) return undefined;
    return waiting.length === 0 ? { state: this.#taken(view, node) } : {};
  }

  #taken({ turns, waiting }: QueueState, node: QueuedNode): QueueState {
    const slot = { ...node, acquiredMs: this.#parts.clock.now().getTime() };
    return { slot, turns: turns + 1, waiting: waiting.filter(({ identity }) => identity !== node.identity) };
  }

  /** Somebody asks who has not got the slot: it gets it, or keeps or gets a place and hears why. */
  async #turn(view: View, node: QueuedNode, { etcd, turns }: Look): Promise<Outcome> {
    const { slot, ...rest } = view;
    const isPromotedNow = slot !== undefined && view.turns === turns && !(etcd instanceof BootstrapError) &&
      isPromoted(etcd, slot);
    const isFree = slot === undefined || view.isOver || isPromotedNow;
    // Its address has changed in its own turn: etcd may have a learner at the old one, which nobody else would know as its own.
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

  /** The places with the node's own, which is now the last if it is new. */
  #placed(waiting: readonly Place[], { identity, nodeName }: QueuedNode): Place[] {
    const nowMs = this.#parts.clock.now().getTime();
    const own = waiting.find((place) => place.identity === identity);
    if (own === undefined) return [...waiting, { identity, nodeName, sinceMs: nowMs, lastAskedMs: nowMs }];
    return waiting.map((place) => place === own ? { ...own, nodeName, lastAskedMs: nowMs } : place);
  }

  /**
   * Removes what a holder whose time is over, or whose address has changed, has left in etcd; gives what etcd is like then. What
   * that same one has left where it is now, it removes by itself.
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
