/**
 * The numbered events of an init, kept so that a caller who comes late, or again, hears all of them.
 *
 * @module
 */
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError } from "../platform/errors.ts";
import type { ProgressEvent } from "../proto/gen/bootstrapper.ts";

/** How a phase stands. */
export type PhaseState = "started" | "detail" | "done" | "failed";

/** Does work as a named phase that is recorded. */
export interface PhaseRecorder {
  /** Does `work` as the phase `name`, and gives what it gives. */
  phase<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** The events of one operation, from number 1. */
export class ProgressLog {
  readonly #clock: Pick<Clock, "now" | "monotonicMs">;
  readonly #recorder: PhaseRecorder;
  readonly #events: ProgressEvent[] = [];
  readonly #listeners = new Set<() => void>();

  /**
   * Begins without events.
   *
   * @param clock Dates and measures the events.
   * @param recorder Where the phases are written down on this node.
   */
  constructor(clock: Pick<Clock, "now" | "monotonicMs">, recorder: PhaseRecorder) {
    this.#clock = clock;
    this.#recorder = recorder;
  }

  /** Says something of a phase that is under way. */
  detail(phase: string, detail: string): void {
    this.#append(phase, "detail", detail, 0);
  }

  /** Does `work` as a phase, and tells its start and its end. */
  async phase<T>(name: string, work: () => Promise<T>): Promise<T> {
    const start = this.#clock.monotonicMs();
    this.#append(name, "started", "", 0);
    try {
      const result = await this.#recorder.phase(name, work);
      this.#append(name, "done", "", this.#clock.monotonicMs() - start);
      return result;
    } catch (error) {
      this.#append(name, "failed", asBootstrapError(error).message, this.#clock.monotonicMs() - start);
      throw error;
    }
  }

  /**
   * Sends the events after number `heard`, those of the past first, until `until` settles and nothing is left.
   *
   * @param send Called in order, one at a time.
   * @param until Ends the following; what it rejects with is not thrown here.
   * @param heard The number of the last event that the caller has heard.
   * @returns The number of the last event that was sent.
   */
  async follow(
    send: (event: ProgressEvent) => Promise<void>,
    until: Promise<unknown>,
    heard = 0,
  ): Promise<number> {
    let ended = false;
    let wake = () => {};
    const listener = () => wake();
    this.#listeners.add(listener);
    const end = () => {
      ended = true;
      wake();
    };
    until.then(end, end);
    try {
      for (let next = heard;;) {
        const event = this.#events[next];
        if (event !== undefined) {
          await send(event);
          next++;
        } else if (ended) {
          return next;
        } else {
          const { promise, resolve } = Promise.withResolvers<void>();
          wake = resolve;
          if (this.#events.length === next && !ended) await promise;
        }
      }
    } finally {
      this.#listeners.delete(listener);
    }
  }

  #append(phase: string, state: PhaseState, detail: string, durationMs: number): void {
    this.#events.push({
      number: this.#events.length + 1,
      phase,
      state,
      detail,
      timeMs: BigInt(this.#clock.now().getTime()),
      durationMs: BigInt(Math.round(durationMs)),
    });
    for (const listener of this.#listeners) listener();
  }
}
