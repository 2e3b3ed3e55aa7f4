/**
 * A clock for tests, whose time passes only by sleeping.
 *
 * @module
 */
import type { Clock } from "../clock.ts";

/** A clock whose sleeps end at once, and a record of the sleeps. */
export interface SleepingClock {
  readonly clock: Clock;
  /** Every sleep, milliseconds, in order. */
  readonly slept: readonly number[];
}

/** Creates a clock at time zero. As with the system's clock, a sleep rejects if its signal is already aborted. */
export function sleepingClock(): SleepingClock {
  const slept: number[] = [];
  const elapsedMs = () => slept.reduce((sum, ms) => sum + ms, 0);
  return {
    slept,
    clock: {
      now: () => new Date(elapsedMs()),
      monotonicMs: elapsedMs,
      sleep(ms, signal) {
        if (signal?.aborted) return Promise.reject(signal.reason);
        slept.push(ms);
        return Promise.resolve();
      },
    },
  };
}
