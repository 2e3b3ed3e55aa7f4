import type { Clock } from "../platform/clock.ts";
import { SECOND_MS } from "../platform/duration.ts";
import { BootstrapError, type BootstrapErrorOptions, type ErrorCode } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { retry } from "../platform/retry.ts";

/** The limits of a wait, and its clock. */
export interface Wait {
  readonly clock: Clock;
  /** The wait ends with a `timeout/…` after this many milliseconds. */
  readonly deadlineMs: number;
  /** Ends the wait early, with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called with each retriable error of a look. */
  readonly onFailedTry?: (error: BootstrapError) => void;
}

/** The options of {@linkcode pollUntil}. */
export interface Poll extends Wait {
  /** The time between the first two attempts. It doubles up to `longestMs`. */
  readonly firstMs: number;
  /** The longest time between two attempts. */
  readonly longestMs: number;
  /** The code of the error at the deadline. */
  readonly code: ErrorCode;
  /** What did not happen, as the start of a sentence: "The certificate was not signed". */
  readonly failure: string;
  readonly next?: string;
}

/**
 * Calls `look` until it returns a value. Retriable errors count as no value; the last one is the cause of the timeout.
 */
export async function pollUntil<T>(look: () => Promise<T | undefined>, poll: Poll): Promise<T> {
  const { clock, signal, firstMs, longestMs } = poll;
  const endMs = clock.monotonicMs() + poll.deadlineMs;
  const nothing = new BootstrapError("unavailable/nothing-seen", poll.failure);
  let isOver = false;
  try {
    return await retry(async () => {
      const found = await look();
      if (found === undefined) throw nothing;
      return found;
    }, {
      clock,
      signal,
      random: NO_JITTER,
      backOff: { firstMs, longestMs, factor: 2, jitter: 0 },
      isRetriable: ({ retriable }) => retriable && !(isOver = clock.monotonicMs() >= endMs),
      onFailedTry: ({ error }) => error === nothing || poll.onFailedTry?.(error),
    });
  } catch (error) {
    if (!isOver) throw error;
    throw new BootstrapError(poll.code, sentence(poll), options(poll, error === nothing ? undefined : error));
  }
}

/** Jitter is unnecessary: each machine polls its own objects, so machines do not poll in step. */
const NO_JITTER = () => 0;

function sentence({ failure, deadlineMs }: Poll): string {
  return `${failure} within ${deadlineMs / SECOND_MS} s`;
}

function options({ next }: Poll, cause: unknown): BootstrapErrorOptions {
  return { ...present("next", next), cause };
}
