/**
 * What a founder does next, from what it has itself and what etcd had at one moment. No I/O: the names of the moves are
 * those of the steps in `tests/protocol/decision_search.ts`.
 *
 * @module
 */
import type { CompleteRecord, DecideReason, DecisionView, SeenDecision } from "./decision.ts";

/** A decision on this founder, with whose epoch and revision the keys were staged. */
export interface StagedDecision {
  readonly epoch: number;
  readonly revision: bigint;
  readonly clusterId: string;
}

/** How far the founding of the own cluster is. */
export type FoundingState = "not-begun" | "running" | "done";

/** What this founder has. */
export interface OwnFacts {
  /** H(SPKI). */
  readonly key: string;
  /** The node lock; `undefined` if the node is fresh. */
  readonly lock: { readonly owner: "init" | "join"; readonly clusterId: string } | undefined;
  /** What was staged last, from the founder's journal. */
  readonly staged: StagedDecision | undefined;
  /** The cluster ID of the CA in memory. */
  readonly prepared: string | undefined;
  /** Whether an init may begin: preflight passed, no lock, and no rest after a resignation. */
  readonly isReady: boolean;
  readonly founding: FoundingState;
  /** Why stage or founding failed for good. */
  readonly failure: string | undefined;
  /** `complete` in the founder's journal. */
  readonly completed: CompleteRecord | undefined;
  readonly isServing: boolean;
  /** Whether this node is a member of the cluster of its lock. */
  readonly isMember: boolean;
}

/** What this founder has seen over time, in milliseconds. */
export interface SeenTimes {
  /** How long whoever was decided on has been absent, at every read on end. */
  readonly absentMs: number;
  /** How long this process leads. */
  readonly leadMs: number;
  /** How long raft's term has been the same. */
  readonly termMs: number;
  /** How long this node is a member. */
  readonly memberMs: number;
  /** How long the keys of all members have been there. */
  readonly allMembersMs: number;
}

/** The ceremony's times, milliseconds. */
export interface DecisionTimes {
  /** A leader decides after so long a time of one raft term. */
  readonly stableMs: number;
  /** A leader decides after so long a time, whatever raft's terms. */
  readonly restlessMs: number;
  /** Another founder is decided on when the former was absent for so long. */
  readonly takeoverMs: number;
  /** A member leaves so long after it became one, whoever is missing. */
  readonly leaveMs: number;
  /** A member that sees all others' keys leaves so long afterwards, so that they see them too. */
  readonly lingerMs: number;
}

/** What a founder does next. */
export type Move =
  | { readonly kind: "wait"; readonly what: string; readonly from: readonly string[] }
  | { readonly kind: "campaign" }
  | { readonly kind: "decide"; readonly why: DecideReason }
  | { readonly kind: "stage"; readonly decision: SeenDecision }
  | { readonly kind: "lock"; readonly decision: SeenDecision }
  | { readonly kind: "init"; readonly decision: SeenDecision }
  | { readonly kind: "complete"; readonly decision: StagedDecision }
  | { readonly kind: "journal"; readonly complete: CompleteRecord }
  | { readonly kind: "serve"; readonly complete: CompleteRecord }
  | { readonly kind: "resign"; readonly decision: SeenDecision; readonly reason: string }
  | { readonly kind: "superseded"; readonly reason: string }
  | { readonly kind: "join"; readonly complete: CompleteRecord }
  | { readonly kind: "member" }
  | { readonly kind: "leave" };

/** What {@linkcode nextMove} looks at. */
export interface Situation {
  readonly own: OwnFacts;
  readonly view: DecisionView;
  readonly seen: SeenTimes;
  readonly times: DecisionTimes;
  /** Whether this process leads. */
  readonly leads: boolean;
  /** The founders, by H(SPKI). */
  readonly founders: readonly string[];
}

/** Says what to do next. The view must have been read after the own facts last changed. */
export function nextMove(situation: Situation): Move {
  const { own } = situation;
  if (own.completed !== undefined) {
    return own.isServing ? asMember(situation) : { kind: "serve", complete: own.completed };
  }
  if (own.lock?.owner === "init") return lockedByInit(situation);
  return own.lock === undefined ? fresh(situation) : lockedByJoin(situation);
}

/** Whether this founder's part is over: all are members, or it has waited for the others for long enough. */
export function mayLeave(
  { isMember }: Pick<OwnFacts, "isMember">,
  seen: Pick<SeenTimes, "memberMs" | "allMembersMs">,
  { lingerMs, leaveMs }: Pick<DecisionTimes, "lingerMs" | "leaveMs">,
): boolean {
  return isMember && (seen.allMembersMs >= lingerMs || seen.memberMs >= leaveMs);
}

/** Whether this founder would decide on itself if it led. */
export function wantsToLead(situation: Situation): boolean {
  const { own, view: { decision, complete } } = situation;
  const isDecidedOn = decision?.key === own.key && decision.resigned === undefined;
  const isFree = own.completed === undefined && own.lock === undefined && complete === undefined && !isDecidedOn;
  return isFree && own.isReady && mayDecide(situation) !== undefined;
}

/** A founder that locked for its own cluster. */
function lockedByInit({ own, view }: Situation): Move {
  const { staged, lock } = own;
  const { decision, complete } = view;
  if (staged === undefined || staged.clusterId !== lock?.clusterId) {
    return superseded("the lock is not of a decision of these founders");
  }
  if (complete !== undefined) {
    if (complete.clusterId === staged.clusterId) return { kind: "journal", complete };
    return superseded(`another cluster is complete: ${complete.clusterId}`);
  }
  if (decision === undefined || decision.revision !== staged.revision) {
    return superseded(`another founder was decided on, in epoch ${decision?.epoch ?? 0}`);
  }
  if (decision.resigned !== undefined) return superseded(`it resigned: ${decision.resigned}`);
  if (own.failure !== undefined) return { kind: "resign", decision, reason: own.failure };
  return own.founding === "done" ? { kind: "complete", decision: staged } : { kind: "init", decision };
}

/** A founder whose JoinClient took the lock. */
function lockedByJoin(situation: Situation): Move {
  const { own, view: { decision, complete } } = situation;
  const isOpen = decision?.key === own.key && decision.resigned === undefined && complete === undefined;
  if (isOpen) return { kind: "resign", decision, reason: "its JoinClient took the node for a cluster that there is" };
  return asMember(situation);
}

/** A founder without a lock. */
function fresh(situation: Situation): Move {
  const { own, view: { decision, complete } } = situation;
  if (complete !== undefined) return { kind: "join", complete };
  if (decision !== undefined && decision.key === own.key && decision.resigned === undefined) {
    return decidedOn(own, decision);
  }
  const why = mayDecide(situation);
  if (why === undefined) return wait("a cluster of the founder that was decided on", [decision?.key ?? ""]);
  if (!own.isReady) return wait("a founder that is ready to found", others(situation));
  return lead(situation, why);
}

function decidedOn(own: OwnFacts, decision: SeenDecision): Move {
  if (own.prepared !== decision.clusterId) {
    return { kind: "resign", decision, reason: "it was started again before its lock, and no longer has the keys" };
  }
  if (own.failure !== undefined) return { kind: "resign", decision, reason: own.failure };
  return { kind: own.staged?.revision === decision.revision ? "lock" : "stage", decision };
}

function mayDecide({ view: { decision }, seen, times }: Situation): DecideReason | undefined {
  if (decision === undefined) return "nothing";
  if (decision.resigned !== undefined) return "resigned";
  return seen.absentMs >= times.takeoverMs ? "absent" : undefined;
}

function lead({ view: { leader }, leads, seen, times }: Situation, why: DecideReason): Move {
  if (leader === undefined) return { kind: "campaign" };
  if (!leads) return wait("the leader to decide", [leader.key]);
  const isStable = (seen.leadMs >= times.stableMs && seen.termMs >= times.stableMs) || seen.leadMs >= times.restlessMs;
  return isStable ? { kind: "decide", why } : wait("a stable leader", []);
}

/** A founder that serves, or that joins. */
function asMember({ own, view, seen, times, founders }: Situation): Move {
  if (!own.isMember) return wait("this node to become a member", [own.key]);
  const missing = founders.filter((key) => !view.members.has(key));
  if (mayLeave(own, seen, times)) return { kind: "leave" };
  if (view.complete !== undefined && !view.members.has(own.key)) return { kind: "member" };
  return wait("the other founders to become members", missing);
}

function others({ founders, own }: Situation): readonly string[] {
  return founders.filter((key) => key !== own.key);
}

function wait(what: string, from: readonly string[]): Move {
  return { kind: "wait", what, from };
}

function superseded(reason: string): Move {
  return { kind: "superseded", reason };
}
