import type { Clock } from "../platform/clock.ts";
import { SECOND_MS } from "../platform/duration.ts";
import { BootstrapError, type BootstrapErrorOptions, type ErrorCode } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { retry } from "../platform/retry.ts";

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
    });
  } catch (error) {
    if (!isOver) throw error;
    throw new BootstrapError(poll.code, sentence(poll), options(poll, error === nothing ? undefined : error));
  }
}

/** Each machine polls objects of its own: many machines do not poll in step. */
const NO_JITTER = () => 0;

function sentence({ failure, deadlineMs }: Poll): string {
  return `${failure} within ${deadlineMs / SECOND_MS} s`;
}

function options({ next }: Poll, cause: unknown): BootstrapErrorOptions {
  return { ...present("next", next), cause };
}
