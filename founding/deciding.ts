/**
 * The second part of the ceremony: from a fixed roster to one cluster that all founders are members of.
 *
 * @module
 */
import { asBootstrapError, BootstrapError, errorFamily } from "../platform/errors.ts";
import { errorFields } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import { OwnFounding } from "./_own_founding.ts";
import { Observed, type StayTimes } from "./_seen_times.ts";
import type { CeremonyEnd, CeremonyParts, CeremonyTimes, JoinGate } from "./ceremony_parts.ts";
import { Decision, type DecisionView } from "./decision.ts";
import { EtcdClient } from "./etcd_client.ts";
import type { EtcdProcess } from "./etcd_process.ts";
import { FounderJournal } from "./founder_journal.ts";
import { mayLeave, type Move, nextMove, type OwnFacts, type Situation, wantsToLead } from "./moves.ts";
import { Presence } from "./presence.ts";
import type { Roster } from "./roster.ts";
import type { Waits } from "./waits.ts";

/** What {@linkcode Deciding} needs. */
export interface DecidingParts extends CeremonyParts {
  readonly roster: Roster;
  readonly etcd: EtcdProcess;
  readonly waits: Waits;
  readonly times: CeremonyTimes;
}

/** After a move that changes something, the next one follows soon. */
const QUICK = 20;

/** The moves that take long, as what is waited for. */
const DOING: Partial<Record<Move["kind"], string>> = {
  stage: "this node's checks and keys for the cluster that it founds",
  lock: "this node's lock for the cluster that it founds",
  init: "this node to found the cluster",
  serve: "this node's join service to start",
};

/** Whether only another start can mend it: this machine's disk or lock, or what etcd has has no known form. */
function isFinal({ code }: BootstrapError): boolean {
  const isOwn = errorFamily(code) === "system" && code !== "system/etcd" && code !== "system/command";
  return isOwn || code === "malformed/founding-decision" || code === "malformed/founder-file";
}

/** Looks, moves, and looks again, until the ceremony ends for this founder. */
export class Deciding {
  readonly #parts: DecidingParts;
  readonly #own: OwnFounding;
  readonly #decision: Decision;
  readonly #presence: Presence;
  readonly #observed: Observed;
  #gate: JoinGate = { kind: "any" };
  #answeredMs: number;
  #loggedEpoch = "";
  #loggedError = "";
  #superseded: string | undefined;

  private constructor(parts: DecidingParts, journal: FounderJournal) {
    const { roster: { self }, etcd, certificatePem, keyPem, clock, log, times } = parts;
    this.#parts = parts;
    const store = new EtcdClient({
      endpoint: () => etcd.endpoint,
      credentials: { caPem: certificatePem, certificatePem, keyPem },
      deadlineMs: times.callMs,
    });
    this.#own = new OwnFounding({ ...parts, journal, key: self.key });
    this.#decision = new Decision({ store, self, log });
    this.#presence = new Presence({ store, key: self.key, clock, ttlSeconds: times.leaseSeconds });
    this.#observed = new Observed(times.leaseSeconds * 1000);
    this.#answeredMs = clock.monotonicMs();
  }

  /**
   * Reads the founder's journal.
   *
   * @throws {BootstrapError} `malformed/founder-file`, `system/file`.
   */
  static async open(parts: DecidingParts): Promise<Deciding> {
    return new Deciding(parts, await FounderJournal.open(parts.folder));
  }

  /**
   * Decides, founds or joins, and leaves.
   *
   * @throws The signal's reason, and errors that time does not mend: `malformed/founding-decision`, `system/file`.
   */
  async run(signal: AbortSignal): Promise<CeremonyEnd> {
    const { clock, times } = this.#parts;
    this.#openJoin({ kind: "hold" });
    try {
      for (;;) {
        const end = await this.#step(signal);
        if (end === "soon" || end === "later") {
          await clock.sleep(end === "soon" ? Math.ceil(times.pollMs / QUICK) : times.pollMs, signal);
        } else return end;
      }
    } finally {
      await this.#own.end();
    }
  }

  /** What becomes of this founder when its etcd must never run again. */
  async withoutEtcd(reason: string, signal: AbortSignal): Promise<CeremonyEnd> {
    const { lock, completed, isServing } = await this.#own.facts();
    if (completed !== undefined) {
      if (!isServing) await this.#own.serve(completed, signal);
      return { kind: "left" };
    }
    if (lock?.owner === "init") {
      await this.#own.supersede(reason);
      return { kind: "superseded", reason };
    }
    this.#openJoin({ kind: "any" });
    return { kind: "no-founder", reason };
  }

  async #step(signal: AbortSignal): Promise<CeremonyEnd | "soon" | "later"> {
    let own: OwnFacts | undefined;
    try {
      own = await this.#own.facts();
      if (own.completed !== undefined && !own.isServing) {
        await this.#own.serve(own.completed, signal);
        return "soon";
      }
      const situation = await this.#look(own, signal);
      return await this.#move(nextMove(situation), situation, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asBootstrapError(thrown);
      if (isFinal(error)) throw error;
      this.#endure(error, own);
      // The others may have left already, and etcd with them.
      const isOver = own !== undefined && mayLeave(own, this.#stays(own), this.#parts.times);
      return isOver ? { kind: "left" } : "later";
    }
  }

  async #look(own: OwnFacts, signal: AbortSignal): Promise<Situation> {
    const { clock, times, roster: { founders } } = this.#parts;
    const view = await this.#decision.read(signal);
    this.#answeredMs = clock.monotonicMs();
    this.#logEpoch(view);
    const leads = this.#presence.leads(view);
    const nowMs = clock.monotonicMs();
    const since = this.#observed.take({ view, nowMs, leads, founders: founders.length });
    const seen = { ...since, ...this.#stays(own) };
    const situation = { own, view, seen, times, leads, founders: founders.map(({ key }) => key) };
    await this.#presence.stayAlive(view, signal);
    if (leads) {
      await (wantsToLead(situation) ? this.#presence.campaign(view, signal) : this.#presence.yieldLead(signal));
    }
    return situation;
  }

  async #move(move: Move, { view, own }: Situation, signal: AbortSignal): Promise<CeremonyEnd | "soon" | "later"> {
    const { waits } = this.#parts;
    if (own.lock?.owner !== "init" && view.complete === undefined) this.#openJoin({ kind: "hold" });
    const saysItself = ["wait", "superseded", "join"].includes(move.kind);
    if (!saysItself) {
      waits.set(own.isMember ? "leaving" : "deciding", DOING[move.kind] ?? `this node: ${move.kind}`, []);
    }
    switch (move.kind) {
      case "wait":
        waits.set(own.isMember ? "leaving" : "deciding", move.what, this.#namesOf(move.from));
        return "later";
      case "campaign":
        await this.#presence.campaign(view, signal);
        return "soon";
      case "decide":
        await this.#decision.decide(view, move.why, await this.#own.prepare(signal), signal);
        return "soon";
      case "stage":
        await this.#own.stage(move.decision, signal);
        return "soon";
      case "lock":
        await this.#own.lock(move.decision, signal);
        return "soon";
      case "init":
        this.#own.begin(move.decision, signal);
        return "later";
      case "complete":
        await this.#decision.complete(move.decision, this.#own.endpoints, signal);
        return "soon";
      case "journal":
        await this.#own.journal(move.complete);
        this.#parts.log.event("info", "founding-complete", { cluster: move.complete.clusterId });
        return "soon";
      case "serve":
        await this.#own.serve(move.complete, signal);
        return "soon";
      case "resign": {
        const after = await this.#decision.resign(move.decision, move.reason, signal);
        const isResigned = after.decision?.revision !== move.decision.revision || after.decision.resigned !== undefined;
        if (isResigned && own.lock === undefined) await this.#own.rest();
        return "soon";
      }
      case "superseded":
        return await this.#supersede(move.reason, view);
      case "join":
        this.#openJoin({ kind: "only", clusterId: move.complete.clusterId });
        waits.set("deciding", `this node to join ${move.complete.clusterId}`, []);
        return "later";
      case "member":
        await this.#decision.becomeMember(signal);
        return "soon";
      case "leave":
        return { kind: "left" };
    }
  }

  /** Ends the own cluster at once, and goes on voting until another is complete. */
  async #supersede(reason: string, { complete }: DecisionView): Promise<CeremonyEnd | "later"> {
    const { log, waits } = this.#parts;
    if (this.#superseded === undefined) {
      log.event("error", "founding-superseded", { reason });
      await this.#own.supersede(reason);
      this.#superseded = reason;
    }
    if (complete !== undefined) return { kind: "superseded", reason: this.#superseded };
    waits.set("deciding", `another founder's cluster to be complete, as this one's is superseded: ${reason}`, []);
    return "later";
  }

  /** etcd does not answer, or an effect failed: it waits where it is, and tries again. */
  #endure(error: BootstrapError, own: OwnFacts | undefined): void {
    const { clock, times, waits, log, seen, etcd, roster: { self } } = this.#parts;
    if (error.message !== this.#loggedError) log.event("warn", "founding-step-failed", errorFields(error));
    this.#loggedError = error.message;
    const isSilent = clock.monotonicMs() - this.#answeredMs >= times.noLeaderMs;
    if (isSilent && own !== undefined && own.lock === undefined) this.#openJoin({ kind: "any" });
    const cause = etcd.lastError ?? error;
    const from = etcd.lastError === undefined ? seen().absent.toSorted() : [self.name];
    waits.set("deciding", "the founders' etcd, or a step", from, cause);
  }

  #stays({ isMember }: OwnFacts): StayTimes {
    return this.#observed.stays(isMember, this.#parts.clock.monotonicMs());
  }

  #openJoin(gate: JoinGate): void {
    const isSame = gate.kind === this.#gate.kind &&
      (gate.kind !== "only" || this.#gate.kind !== "only" || gate.clusterId === this.#gate.clusterId);
    if (isSame) return;
    this.#gate = gate;
    this.#parts.effects.openJoin(gate);
  }

  #logEpoch({ decision, complete }: DecisionView): void {
    if (decision === undefined) return;
    const { epoch, key, resigned } = decision;
    const text = JSON.stringify([epoch, resigned, complete?.clusterId]);
    if (text === this.#loggedEpoch) return;
    this.#loggedEpoch = text;
    this.#parts.log.event("info", "founding-decision", {
      epoch,
      founder: this.#namesOf([key]).join(),
      cluster: decision.clusterId,
      ...present("resigned", resigned),
      ...present("complete", complete?.clusterId),
    });
  }

  #namesOf(keys: readonly string[]): string[] {
    const { founders } = this.#parts.roster;
    return keys.map((key) => founders.find((founder) => founder.key === key)?.name ?? key).toSorted();
  }
}
