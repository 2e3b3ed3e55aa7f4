import type { BootstrapError } from "../platform/errors.ts";
import { backOffMs } from "../platform/retry.ts";
import type { BackOff } from "../platform/retry.ts";

/**
 * Why an attempt failed, as far as the next one is concerned:
 *
 * - `unreachable`: the connection did not stand, or broke; somebody listens, so that this ends soon;
 * - `refused`: a refusal that time may change, and an attempt costs a verification;
 * - `final`: a refusal that only people change.
 */
export type Setback = "unreachable" | "refused" | "final";

/** How far a pause may be off, so that many nodes do not ask in step. */
const JITTER = 0.2;

/** How the pauses grow, by why the attempts failed. */
export const BACK_OFF: Readonly<Record<Setback, BackOff>> = Object.freeze({
  unreachable: { firstMs: 200, factor: 1.5, longestMs: 2_000, jitter: JITTER },
  refused: { firstMs: 1_000, factor: 1.6, longestMs: 30_000, jitter: JITTER },
  final: { firstMs: 15_000, factor: 1.6, longestMs: 120_000, jitter: JITTER },
});

/** How much longer than it was told to a node may wait, for the same reason; never less long. */
const HINT_JITTER = 0.25;
/** Services ask for 5 and 10. */
const LONGEST_HINT_SECONDS = 30;
/** Whoever can come between once must not silence an endpoint for longer than that. */
const LONGEST_FOR_STRANGERS_MS = 10_000;

/**
 * The pause that a refusal asks for, milliseconds, if it may be retried and asks for a usable one: 1 to 30 whole seconds.
 *
 * @param random From 0 to 1.
 */
export function hintedPauseMs(
  { retriable, retryAfterSeconds = 0 }: BootstrapError,
  random: number,
): number | undefined {
  const isUsable = Number.isInteger(retryAfterSeconds) && retryAfterSeconds >= 1 &&
    retryAfterSeconds <= LONGEST_HINT_SECONDS;
  return retriable && isUsable ? Math.round(retryAfterSeconds * 1000 * (1 + HINT_JITTER * random)) : undefined;
}

/** An attempt that failed. */
export interface FailedAttempt {
  /** The error. */
  readonly error: BootstrapError;
  /** What it means for the next attempt. */
  readonly setback: Setback;
  /** How many in a row failed for that reason, at least 1. */
  readonly count: number;
  /** Whether the service had shown that it is one of the node's cluster. */
  readonly isFounded: boolean;
}

/**
 * The pause after an attempt, milliseconds: the one that was asked for, else one that grows; at most 10 seconds where the service
 * had not shown what it is, since anybody on the way may have said that.
 *
 * @param random From 0 to 1.
 */
export function pauseAfterMs({ error, setback, count, isFounded }: FailedAttempt, random: number): number {
  const pauseMs = hintedPauseMs(error, random) ?? backOffMs(BACK_OFF[setback], count, random);
  return isFounded ? pauseMs : Math.min(pauseMs, Math.round(LONGEST_FOR_STRANGERS_MS * (1 - JITTER * random)));
}
