import type { Clock } from "../platform/clock.ts";
import { BootstrapError, type BootstrapErrorOptions, type ErrorCode } from "../platform/errors.ts";

/** How long is waited, and by which clock. */
export interface Wait {
  /** Time. */
  readonly clock: Clock;
  /** After this many milliseconds the wait ends with a `timeout/…`. */
  readonly deadlineMs: number;
  /** Ends it early, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What {@linkcode pollUntil} waits for. */
export interface Poll extends Wait {
  /** Between the first two looks; doubles up to `longestMs`. */
  readonly firstMs: number;
  /** The longest time between two looks. */
  readonly longestMs: number;
  /** The error's code when the time is over. */
  readonly code: ErrorCode;
  /** What did not come to be, as the start of a sentence: "The certificate was not signed". */
  readonly failure: string;
  /** What to do next. */
  readonly next?: string;
}

/** Looks until there is something to see. Errors that are retriable count as nothing seen; the last is the timeout's cause. */
export async function pollUntil<T>(look: () => Promise<T | undefined>, poll: Poll): Promise<T> {
  const end = poll.clock.monotonicMs() + poll.deadlineMs;
  let problem: unknown;
  for (let pollMs = poll.firstMs;; pollMs = Math.min(2 * pollMs, poll.longestMs)) {
    poll.signal?.throwIfAborted();
    try {
      const found = await look();
      if (found !== undefined) return found;
      problem = undefined;
    } catch (error) {
      if (!(error instanceof BootstrapError && error.retriable)) throw error;
      problem = error;
    }
    if (poll.clock.monotonicMs() >= end) throw new BootstrapError(poll.code, sentence(poll), options(poll, problem));
    await poll.clock.sleep(pollMs, poll.signal);
  }
}

function sentence({ failure, deadlineMs }: Poll): string {
  return `${failure} within ${deadlineMs / 1000} s`;
}

function options({ next }: Poll, cause: unknown): BootstrapErrorOptions {
  return { ...(next === undefined ? {} : { next }), ...(cause === undefined ? {} : { cause }) };
}
