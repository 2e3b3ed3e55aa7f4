import type { BootstrapError } from "../platform/errors.ts";
import { backOffMs } from "../platform/retry.ts";
import type { BackOff } from "../platform/retry.ts";

/**
 * Why an attempt failed, as far as it matters for the next one:
 *
 * - `unreachable`: the connection failed or broke. There is a listener, so this ends soon, unless it is a stranger;
 * - `refused`: time may change the refusal, and an attempt costs a verification;
 * - `final`: only people can change the refusal.
 */
export type Setback = "unreachable" | "refused" | "final";

/** How far a pause may vary, as a fraction, so that many nodes do not ask in step. */
const JITTER = 0.2;

/** How the pauses grow, by the reason of the failures. */
export const BACK_OFF: Readonly<Record<Setback, BackOff>> = Object.freeze({
  unreachable: { firstMs: 200, factor: 1.5, longestMs: 10_000, jitter: JITTER },
  refused: { firstMs: 1_000, factor: 1.6, longestMs: 75_000, jitter: JITTER },
  final: { firstMs: 15_000, factor: 1.6, longestMs: 120_000, jitter: JITTER },
});

/**
 * How much longer than the hint a node may wait, as a fraction, for the same reason. It never waits less than the hint.
 */
const HINT_JITTER = 0.25;
/** The longest hint that is followed. Services ask for 5 and 10 seconds. */
const LONGEST_HINT_SECONDS = 30;
/** An attacker on the path who interferes once must not silence an endpoint for longer than this. */
const LONGEST_FOR_STRANGERS_MS = 10_000;
/** Who interferes so often in a row may do it for as long as they like anyway, and 1,000 nodes that wait ask less. */
const STRANGERS_IN_A_ROW = 20;
const LONGEST_FOR_MANY_MS = 75_000;

/**
 * The pause that a refusal asks for, in milliseconds, if the refusal may be retried and its hint is usable: 1 to 30
 * whole seconds.
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
  readonly error: BootstrapError;
  /** What it means for the next attempt. */
  readonly setback: Setback;
  /** How many attempts in a row failed for that reason, at least 1. */
  readonly count: number;
  /** Whether the service had proven that it belongs to the node's cluster. */
  readonly isFounded: boolean;
  /** How many endpoints have a listener that gave no ticket, and are asked side by side. Default: one. */
  readonly among?: number;
}

/** More listeners than these are asked in turn as rarely as these are: a name may have 64 addresses. */
const LISTENERS_AT_FULL_PACE = 3;

/**
 * The pause after an attempt, in milliseconds: the requested one, or else one that grows. While the service had not
 * proven what it is, it is at most 10 seconds for the first attempts in a row, because anyone on the path may have sent
 * that answer, and at most 75 seconds later. Among more than three listeners, the longest pauses that this program
 * chooses grow with their number.
 *
 * @param random From 0 to 1.
 */
export function pauseAfterMs(failed: FailedAttempt, random: number): number {
  const { error, setback, count, isFounded, among = 1 } = failed;
  const share = Math.max(1, among / LISTENERS_AT_FULL_PACE);
  const backOff = BACK_OFF[setback];
  const pauseMs = hintedPauseMs(error, random) ??
    backOffMs({ ...backOff, longestMs: backOff.longestMs * share }, count, random);
  const longestMs = (count <= STRANGERS_IN_A_ROW ? LONGEST_FOR_STRANGERS_MS : LONGEST_FOR_MANY_MS) * share;
  return isFounded ? pauseMs : Math.min(pauseMs, Math.round(longestMs * (1 - JITTER * random)));
}
