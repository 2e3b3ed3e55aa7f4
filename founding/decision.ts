/**
 * The decision of a fixed roster: who founds the cluster. All safety rests on the three transactions of this file, and on
 * linearizable reads; none on a clock, a lease or a leader.
 *
 * @module
 */
import { asBootstrapError } from "../platform/errors.ts";
import { errorFields, type Log } from "../platform/log.ts";
import {
  type CompleteRecord,
  type DecisionRecord,
  decodeComplete,
  decodeDecision,
  decodeLeader,
  decodeResigned,
  encodeRecord,
  encodeResigned,
  type LeaderRecord,
} from "./_records.ts";
import type { EtcdCondition, EtcdPut, EtcdSnapshot, FounderStore } from "./etcd_client.ts";

export type { CompleteRecord, DecisionRecord, LeaderRecord } from "./_records.ts";

/** A decision, and the revision by which it is known. */
export interface SeenDecision extends DecisionRecord {
  /** The store's revision of the decision. No two decisions have one. */
  readonly revision: bigint;
  /** Why who was decided on resigned; `undefined` if it did not. */
  readonly resigned?: string;
}

/** What etcd has at one moment. */
export interface DecisionView {
  readonly raftTerm: bigint;
  readonly decision?: SeenDecision;
  readonly complete?: CompleteRecord;
  readonly leader?: LeaderRecord & { readonly createRevision: bigint };
  /** The founders, by H(SPKI), whose processes renew their lease. */
  readonly alive: ReadonlySet<string>;
  /** The founders, by H(SPKI), that are members of the cluster. */
  readonly members: ReadonlySet<string>;
}

/** Why there may be a new decision: there is none; who was decided on resigned, or was absent for long enough. */
export type DecideReason = "nothing" | "resigned" | "absent";

/** What {@linkcode Decision} needs. */
export interface DecisionParts {
  readonly store: FounderStore;
  /** This founder: its identity and H(SPKI). */
  readonly self: { readonly identity: string; readonly key: string };
  readonly log: Log;
}

/** The prefixes of the keys of one founder each. */
export const ALIVE = "alive/";
const MEMBER = "member/";

/** Reads and makes the decision. */
export class Decision {
  readonly #parts: DecisionParts;

  /** Sends nothing yet. */
  constructor(parts: DecisionParts) {
    this.#parts = parts;
  }

  /**
   * Reads all keys, linearizably.
   *
   * @throws {BootstrapError} The errors of etcd; `malformed/founding-decision`.
   */
  async read(signal: AbortSignal): Promise<DecisionView> {
    return viewOf(await this.#parts.store.read(signal));
  }

  /**
   * Decides on this founder. The caller leads, has no lock, is ready and has a CA in memory.
   *
   * @param seen What was read: the leader's creation revision and the decision's revision must still hold.
   * @param why Why there may be a decision now.
   * @param clusterId Of the CA in memory.
   * @returns What etcd has after it. The answer itself is not looked at: it may be lost, and the cluster ID says whose
   *   decision it is.
   */
  async decide(
    seen: DecisionView,
    why: DecideReason,
    clusterId: string,
    signal: AbortSignal,
  ): Promise<DecisionView> {
    const { self } = this.#parts;
    const { decision, leader } = seen;
    const conditions: EtcdCondition[] = [
      { key: "leader", createRevision: leader?.createRevision ?? -1n },
      { key: "complete", is: "absent" },
    ];
    if (decision === undefined || why === "nothing") conditions.push({ key: "decision", is: "absent" });
    else {
      conditions.push(unchanged(decision));
      conditions.push(
        why === "resigned"
          ? { key: resignedKey(decision), is: "there" }
          : { key: `${ALIVE}${decision.key}`, is: "absent" },
      );
    }
    const record = { epoch: (decision?.epoch ?? 0) + 1, identity: self.identity, key: self.key, clusterId };
    return await this.#change("decide", conditions, { key: "decision", value: encodeRecord(record) }, signal);
  }

  /**
   * Gives up the decision on this founder, so that another may found.
   *
   * @param decision The decision on this founder.
   * @param reason A sentence for all founders.
   */
  resign(decision: SeenDecision, reason: string, signal: AbortSignal): Promise<DecisionView> {
    return this.#change(
      "resign",
      [unchanged(decision), { key: "complete", is: "absent" }],
      { key: resignedKey(decision), value: encodeResigned(reason) },
      signal,
    );
  }

  /**
   * Makes the cluster of the decision final. Nothing of it serves joiners before.
   *
   * @param decision The decision on this founder, by the revision that was staged.
   * @param endpoints Where joiners find the cluster.
   */
  complete(
    decision: Pick<SeenDecision, "epoch" | "revision" | "clusterId">,
    endpoints: readonly string[],
    signal: AbortSignal,
  ): Promise<DecisionView> {
    const { epoch, clusterId } = decision;
    return this.#change(
      "complete",
      [unchanged(decision), { key: resignedKey(decision), is: "absent" }, { key: "complete", is: "absent" }],
      { key: "complete", value: encodeRecord({ epoch, clusterId, endpoints: [...endpoints] }) },
      signal,
    );
  }

  /** Says that this founder is a member of the cluster. */
  becomeMember(signal: AbortSignal): Promise<DecisionView> {
    const put = { key: `${MEMBER}${this.#parts.self.key}`, value: new Uint8Array() };
    return this.#change("member", [{ key: "complete", is: "there" }], put, signal);
  }

  /** Tries a change and reads it back, whatever the answer. */
  async #change(
    name: string,
    conditions: readonly EtcdCondition[],
    put: EtcdPut,
    signal: AbortSignal,
  ): Promise<DecisionView> {
    const { store, log } = this.#parts;
    try {
      const isDone = await store.transact(conditions, put, signal);
      log.event("info", "founding-transaction", { transaction: name, done: isDone });
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asBootstrapError(thrown);
      log.event("warn", "founding-transaction-answer-lost", { transaction: name, ...errorFields(error) });
      if (!error.retriable) throw error;
    }
    return await this.read(signal);
  }
}

function unchanged({ revision }: Pick<SeenDecision, "revision">): EtcdCondition {
  return { key: "decision", modRevision: revision };
}

function resignedKey({ epoch }: Pick<SeenDecision, "epoch">): string {
  return `resigned/${epoch}`;
}

function viewOf({ raftTerm, values }: EtcdSnapshot): DecisionView {
  const [decision, complete, leader] = ["decision", "complete", "leader"].map((key) => values.get(key));
  const seen = decision === undefined ? undefined : decodeDecision(decision.value);
  const resigned = seen === undefined ? undefined : values.get(resignedKey(seen));
  return {
    raftTerm,
    ...(decision === undefined || seen === undefined ? {} : {
      decision: {
        ...seen,
        revision: decision.modRevision,
        ...(resigned === undefined ? {} : { resigned: decodeResigned(resigned.value) }),
      },
    }),
    ...(complete === undefined ? {} : { complete: decodeComplete(complete.value) }),
    ...(leader === undefined ? {} : {
      leader: { ...decodeLeader(leader.value), createRevision: leader.createRevision },
    }),
    alive: keysBelow(values, ALIVE),
    members: keysBelow(values, MEMBER),
  };
}

function keysBelow(values: EtcdSnapshot["values"], prefix: string): ReadonlySet<string> {
  return new Set([...values.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length)));
}
