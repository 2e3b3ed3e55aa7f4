/**
 * Time, passed as an argument so that tests can control it.
 *
 * @module
 */
import { onAbort } from "./abortable.ts";

/** The program's only source of time. */
export interface Clock {
  /** The time of day. */
  now(): Date;
  /** Milliseconds since an arbitrary start; never decreases. */
  monotonicMs(): number;
  /** Resolves after `ms` milliseconds, or rejects with the signal's reason if it aborts first. */
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
