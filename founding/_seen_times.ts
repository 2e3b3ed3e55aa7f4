/**
 * How long what is read from etcd has been so.
 *
 * @module
 */
import type { DecisionView } from "./decision.ts";
import type { SeenTimes } from "./moves.ts";

/** One read, and when it was made. */
export interface TimedView {
  readonly view: DecisionView;
  readonly nowMs: number;
  /** Whether this process leads. */
  readonly leads: boolean;
  /** How many founders there are. */
  readonly founders: number;
}

/** How long this founder may have stayed. It is known without an answer of etcd, too: the keys of members stay. */
export type StayTimes = Pick<SeenTimes, "memberMs" | "allMembersMs">;

/** Measures since when. Reads that are too far apart prove nothing about the time between them. */
export class Observed {
  readonly #gapMs: number;
  readonly #since = new Map<string, { readonly what: string; readonly ms: number }>();
  #lastMs = -Infinity;
  #hasAllMembers = false;

  /** @param gapMs A founder that came back and went again within so long a time cannot have been missed. */
  constructor(gapMs: number) {
    this.#gapMs = gapMs;
  }

  /** Takes a read, and says how long each thing has been so. */
  take({ view, nowMs, leads, founders }: TimedView): Omit<SeenTimes, keyof StayTimes> {
    const { decision, leader, raftTerm, alive, members } = view;
    if (nowMs - this.#lastMs >= this.#gapMs) this.#since.delete("absent");
    this.#lastMs = nowMs;
    const isAbsent = decision !== undefined && decision.resigned === undefined && !alive.has(decision.key);
    if (members.size >= founders) this.#hasAllMembers = true;
    return {
      absentMs: this.#howLong("absent", isAbsent ? String(decision.revision) : undefined, nowMs),
      leadMs: this.#howLong("lead", leads ? String(leader?.createRevision) : undefined, nowMs),
      termMs: this.#howLong("term", String(raftTerm), nowMs),
    };
  }

  /** Says how long this node is a member, and how long all are. */
  stays(isMember: boolean, nowMs: number): StayTimes {
    return {
      memberMs: this.#howLong("member", isMember ? "" : undefined, nowMs),
      allMembersMs: this.#howLong("all", this.#hasAllMembers ? "" : undefined, nowMs),
    };
  }

  #howLong(name: string, what: string | undefined, nowMs: number): number {
    const before = this.#since.get(name);
    if (what === undefined) {
      this.#since.delete(name);
      return 0;
    }
    if (before?.what === what) return nowMs - before.ms;
    this.#since.set(name, { what, ms: nowMs });
    return 0;
  }
}
