import { RETRY_AFTER_DETAIL } from "../attestation/channel/refusal.ts";
import type { BootstrapError } from "../platform/errors.ts";

/** How the pauses between attempts grow. */
interface Growth {
  readonly firstMs: number;
  readonly factor: number;
  readonly longestMs: number;
}

/**
 * Why an attempt failed, as far as the next one is concerned:
 *
 * - `unreachable`: the connection did not stand, or broke; somebody listens, so that this ends soon;
 * - `refused`: a refusal that time may change, and an attempt costs a verification;
 * - `final`: a refusal that only people change.
 */
export type Setback = "unreachable" | "refused" | "final";

const GROWTH: Readonly<Record<Setback, Growth>> = Object.freeze({
  unreachable: { firstMs: 200, factor: 1.5, longestMs: 2_000 },
  refused: { firstMs: 1_000, factor: 1.6, longestMs: 30_000 },
  final: { firstMs: 15_000, factor: 1.6, longestMs: 120_000 },
});

/** How far a pause may be off, so that many nodes do not ask in step. */
const JITTER = 0.2;
/** How much longer than it was told to a node may wait, for the same reason; never less long. */
const HINT_JITTER = 0.25;
const LONGEST_HINT_SECONDS = 300;

/**
 * The pause before the next attempt, milliseconds.
 *
 * @param setback Why the last attempts failed.
 * @param attempts How many in a row did for that reason, at least 1.
 * @param random From 0 to 1.
 */
export function backoffMs(setback: Setback, attempts: number, random: number): number {
  const { firstMs, factor, longestMs } = GROWTH[setback];
  const pauseMs = Math.min(longestMs, firstMs * factor ** (attempts - 1));
  return Math.round(pauseMs * (1 - JITTER + 2 * JITTER * random));
}

/**
 * The pause that a refusal asks for, milliseconds, if it may be retried and asks for a usable one: 1 to 300 whole seconds.
 *
 * @param random From 0 to 1.
 */
export function hintedPauseMs({ retriable, details }: BootstrapError, random: number): number | undefined {
  const text = details[RETRY_AFTER_DETAIL] ?? "";
  if (!retriable || !/^[1-9][0-9]{0,2}$/.test(text) || Number(text) > LONGEST_HINT_SECONDS) return undefined;
  return Math.round(Number(text) * 1000 * (1 + HINT_JITTER * random));
}
