/**
 * Trying again: with pauses that grow, that are never in step with those of others, and that end at once when their owner ends them.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { asBootstrapError } from "./errors.ts";
import type { BootstrapError } from "./errors.ts";

/** How the pauses between tries grow. */
export interface BackOff {
  /** The first pause, milliseconds. */
  readonly firstMs: number;
  /** The factor from each pause to the next, at least 1. */
  readonly factor: number;
  /** The longest pause, milliseconds. */
  readonly longestMs: number;
  /** The share by which a pause may be shorter or longer, from 0 to 1, so that many nodes do not ask in step. */
  readonly jitter: number;
}

/** Fits an API server or a node that is starting: the first tries follow each other closely, later ones cost it nothing. */
export const DEFAULT_BACK_OFF: BackOff = Object.freeze({ firstMs: 250, factor: 2, longestMs: 10_000, jitter: 0.2 });

/**
 * The pause before the next try, milliseconds.
 *
 * @param failures How many tries in a row have failed, at least 1.
 * @param random From 0 to 1.
 */
export function backOffMs({ firstMs, factor, longestMs, jitter }: BackOff, failures: number, random: number): number {
  const pauseMs = Math.min(longestMs, firstMs * factor ** (failures - 1));
  return Math.round(pauseMs * (1 - jitter + 2 * jitter * random));
}

/** A try that failed, and that another one follows. */
export interface FailedTry {
  /** Why it failed. */
  readonly error: BootstrapError;
  /** How many tries in a row have failed with it, at least 1. */
  readonly failures: number;
  /** When the next one begins, milliseconds from now. */
  readonly pauseMs: number;
}

/** How {@linkcode retry} tries again. */
export interface RetryOptions {
  /** Sleeps between the tries. */
  readonly clock: Pick<Clock, "sleep">;
  /** The source of the jitter: numbers from 0 to 1, as `Math.random`. */
  readonly random: () => number;
  /** Ends the tries. */
  readonly signal?: AbortSignal | undefined;
  /** How the pauses grow; it may depend on why the try failed. Default: {@linkcode DEFAULT_BACK_OFF}. */
  readonly backOff?: BackOff | ((error: BootstrapError) => BackOff);
  /** Whether another try may work. Default: what the error says of itself. */
  readonly isRetriable?: (error: BootstrapError) => boolean;
  /** The most tries in a row that fail. Default: no limit. */
  readonly maximumTries?: number;
  /** Hears of each try that failed, before the pause. */
  readonly onFailedTry?: (failed: FailedTry) => void;
}

/**
 * Does `work` again and again until it works. One try at a time: that each has a deadline is the concern of `work`.
 *
 * @param work Does it once. It calls `startOver` when it has achieved something, so that its failure counts as the first again.
 * @returns What the first try that works gives.
 * @throws What `work` throws where another try would be of no use; the signal's reason once that is aborted, whatever `work` says.
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
