/**
 * Time for tests: it passes only by sleeping.
 *
 * @module
 */
import type { Clock } from "../clock.ts";

/** A clock whose sleeps end at once, and the sleeps. */
export interface SleepingClock {
  readonly clock: Clock;
  /** Every sleep, milliseconds, in order. */
  readonly slept: readonly number[];
}

/** A clock at its start. A sleep whose signal is aborted already is refused, as by a real one. */
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
