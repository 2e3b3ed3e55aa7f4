/**
 * Time, handed in so that tests can hold it.
 *
 * @module
 */
import { onAbort } from "./abortable.ts";

/** What the rest of the program knows of time. */
export interface Clock {
  /** The time of day. */
  now(): Date;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Resolves after `ms` milliseconds; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The system's clock. */
export const systemClock: Clock = Object.freeze({
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      listening[Symbol.dispose]();
      resolve();
    }, ms);
    const listening = onAbort(signal, () => {
      clearTimeout(timer);
      reject(signal?.reason);
    });
    return promise;
  },
});
