/**
 * Retries with growing pauses. Jitter keeps the pauses of different processes apart, and an abort ends a pause at once.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { asBootstrapError } from "./errors.ts";
import type { BootstrapError } from "./errors.ts";

/** The growth of the pauses between tries. */
export interface BackOff {
  /** The first pause, milliseconds. */
  readonly firstMs: number;
  /** The factor from each pause to the next, at least 1. */
  readonly factor: number;
  /** The longest pause, milliseconds. */
  readonly longestMs: number;
  /** The fraction, from 0 to 1, by which a pause may be shorter or longer, so that many nodes do not retry in step. */
  readonly jitter: number;
}

/**
 * Suits an API server or a node that is starting: the first tries follow each other closely, and later ones cause
 * little load.
 */
export const DEFAULT_BACK_OFF: BackOff = Object.freeze({ firstMs: 250, factor: 2, longestMs: 10_000, jitter: 0.2 });

/**
 * Returns the pause before the next try, in milliseconds.
 *
 * @param failures The number of consecutive failures, at least 1.
 * @param random A random number from 0 to 1.
 */
export function backOffMs({ firstMs, factor, longestMs, jitter }: BackOff, failures: number, random: number): number {
  const pauseMs = Math.min(longestMs, firstMs * factor ** (failures - 1));
  return Math.round(pauseMs * (1 - jitter + 2 * jitter * random));
}

/** A failed try that another try follows. */
export interface FailedTry {
  /** The reason for the failure. */
  readonly error: BootstrapError;
  /** The number of consecutive failures including this one, at least 1. */
  readonly failures: number;
  /** The pause before the next try, in milliseconds. */
  readonly pauseMs: number;
}

/** Options for {@linkcode retry}. */
export interface RetryOptions {
  /** Sleeps between the tries. */
  readonly clock: Pick<Clock, "sleep">;
  /** The source of the jitter: random numbers from 0 to 1, such as `Math.random`. */
  readonly random: () => number;
  /** Stops the tries. */
  readonly signal?: AbortSignal | undefined;
  /** The growth of the pauses; it may depend on the error of the failed try. Default: {@linkcode DEFAULT_BACK_OFF}. */
  readonly backOff?: BackOff | ((error: BootstrapError) => BackOff);
  /** Whether another try may succeed. Default: the error's `retriable`. */
  readonly isRetriable?: (error: BootstrapError) => boolean;
  /** The maximum number of consecutive failures. Default: no limit. */
  readonly maximumTries?: number;
  /** Receives each failed try that another one follows, before the pause. */
  readonly onFailedTry?: (failed: FailedTry) => void;
}

/**
 * Runs `work` until it succeeds, one try at a time. `work` itself must limit the time of a try.
 *
 * @param work Makes one try. It calls `startOver` when it has made progress; its failure then counts as the first
 *   again.
 * @returns The result of the first successful try.
 * @throws The error of `work` if it is not retriable or the tries are used up; the signal's reason once it is aborted,
 *   whatever `work` throws.
 */
export async function retry<T>(work: (startOver: () => void) => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, random, signal, backOff = DEFAULT_BACK_OFF, isRetriable = saysItself, onFailedTry } = options;
  const { maximumTries = Infinity } = options;
  let failures = 0;
  const startOver = () => {
    failures = 0;
  };
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await work(startOver);
    } catch (thrown) {
      signal?.throwIfAborted();
      const error = asBootstrapError(thrown);
      failures++;
      if (failures >= maximumTries || !isRetriable(error)) throw thrown;
      const pauseMs = backOffMs(typeof backOff === "function" ? backOff(error) : backOff, failures, random());
      onFailedTry?.({ error, failures, pauseMs });
      await clock.sleep(pauseMs, signal);
    }
  }
}

function saysItself({ retriable }: BootstrapError): boolean {
  return retriable;
}
