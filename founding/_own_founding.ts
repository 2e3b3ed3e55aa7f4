/**
 * The own cluster of a founder that was decided on: what is prepared, staged, founded, and what failed for good.
 *
 * @module
 */
import type { Clock } from "../platform/clock.ts";
import { withDeadline } from "../platform/deadline.ts";
import { asBootstrapError, BootstrapError, sentenceOf } from "../platform/errors.ts";
import { errorFields, type Log } from "../platform/log.ts";
import type { CeremonyTimes, FounderEffects } from "./ceremony_parts.ts";
import type { CompleteRecord, SeenDecision } from "./decision.ts";
import type { FounderJournal } from "./founder_journal.ts";
import type { OwnFacts } from "./moves.ts";

/** What {@linkcode OwnFounding} needs. */
export interface OwnFoundingParts {
  readonly effects: FounderEffects;
  readonly journal: FounderJournal;
  readonly clock: Clock;
  readonly log: Log;
  readonly times: CeremonyTimes;
  /** H(SPKI) of this founder. */
  readonly key: string;
  readonly ready: () => Promise<boolean>;
}

/** Does what the moves say to the own node, and knows what is done. */
export class OwnFounding {
  readonly #parts: OwnFoundingParts;
  readonly #ended = new AbortController();
  #prepared: string | undefined;
  #founding: OwnFacts["founding"] = "not-begun";
  #work: Promise<void> = Promise.resolve();
  #endpoints: readonly string[] = [];
  #failure: string | undefined;
  #isServing = false;
  #restsUntilMs = -Infinity;

  constructor(parts: OwnFoundingParts) {
    this.#parts = parts;
  }

  /** Where joiners find the cluster that was founded. */
  get endpoints(): readonly string[] {
    return this.#endpoints;
  }

  /** What this founder has now. */
  async facts(): Promise<OwnFacts> {
    const { effects, journal, clock, key, ready } = this.#parts;
    const lock = await effects.lock();
    const isResting = clock.monotonicMs() < this.#restsUntilMs;
    return {
      key,
      lock,
      staged: journal.staged,
      prepared: this.#prepared,
      isReady: lock === undefined && !isResting && await ready(),
      founding: this.#founding,
      failure: this.#failure,
      completed: journal.completed,
      isServing: this.#isServing,
      isMember: lock !== undefined && (lock.owner === "join" || this.#isServing) && await effects.isMember(),
    };
  }

  /** Makes the CA in memory, and returns its cluster ID. */
  async prepare(signal: AbortSignal): Promise<string> {
    return this.#prepared ??= await this.#parts.effects.prepare(signal);
  }

  /** Stages keys, and with which decision. */
  async stage({ epoch, revision, clusterId }: SeenDecision, signal: AbortSignal): Promise<void> {
    const { effects, journal } = this.#parts;
    await this.#orFailure("staging", signal, async (bound) => {
      await effects.stage(clusterId, bound);
      await journal.stage({ epoch, revision, clusterId });
    });
  }

  /** Takes the lock. The next look at it says whose it is. */
  async lock({ clusterId }: SeenDecision, signal: AbortSignal): Promise<void> {
    const { effects, log } = this.#parts;
    await this.#orFailure("taking the node lock", signal, async (bound) => {
      const lock = await effects.takeLock(clusterId, bound);
      log.event("info", "founding-lock", { owner: lock.owner, cluster: lock.clusterId });
    });
  }

  /** Founds the cluster, in the background: a founder that is superseded meanwhile ends it. */
  begin({ clusterId }: SeenDecision, signal: AbortSignal): void {
    if (this.#founding !== "not-begun") return;
    this.#founding = "running";
    this.#work = this.#found(clusterId, AbortSignal.any([signal, this.#ended.signal]));
  }

  /** Writes that the own cluster is complete. */
  async journal(complete: CompleteRecord): Promise<void> {
    await this.#parts.journal.complete(complete);
  }

  /** Starts the join service. */
  async serve(complete: CompleteRecord, signal: AbortSignal): Promise<void> {
    await this.#parts.effects.serve(complete, signal);
    this.#isServing = true;
  }

  /** Forgets the CA of a decision that this founder resigned from. It leads again after a rest. */
  async rest(): Promise<void> {
    const { effects, clock, times } = this.#parts;
    await effects.discard();
    [this.#prepared, this.#failure] = [undefined, undefined];
    this.#restsUntilMs = clock.monotonicMs() + times.restMs;
  }

  /** Ends the founding, and everything of the own cluster that answers. */
  async supersede(reason: string): Promise<void> {
    await this.end();
    await this.#parts.effects.supersede(reason);
  }

  /** Ends the founding's work, and waits for it. */
  async end(): Promise<void> {
    this.#ended.abort(new BootstrapError("aborted/command", "The founding was ended"));
    await this.#work;
  }

  async #found(clusterId: string, signal: AbortSignal): Promise<void> {
    await this.#orFailure("founding", signal, async (bound) => {
      this.#endpoints = await this.#parts.effects.found(clusterId, bound);
      this.#founding = "done";
    }, this.#parts.times.foundMs).catch(() => {
      // Only an abort comes here.
    });
    if (this.#founding === "running") this.#founding = "not-begun";
  }

  async #orFailure(
    what: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<void>,
    deadlineMs: number = this.#parts.times.stageMs,
  ): Promise<void> {
    const { clock, log } = this.#parts;
    const late = () => new BootstrapError("timeout/founding", `${what} did not end within ${deadlineMs / 1000} s`);
    try {
      await withDeadline(clock, deadlineMs, late, work, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asBootstrapError(thrown);
      log.event("error", "founding-failed", { what, ...errorFields(error) });
      this.#failure = `${what} failed: ${sentenceOf(error)}`;
    }
  }
}
