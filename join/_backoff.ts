/** How the pauses between attempts grow. */
interface Growth {
  readonly firstMs: number;
  readonly factor: number;
  readonly longestMs: number;
}

/**
 * A service that is not there yet is to be noticed soon after it starts, and an attempt costs it one packet. A refusal is
 * changed only by people or by the world, and an attempt costs a verification.
 */
const GROWTH: Readonly<Record<Setback, Growth>> = Object.freeze({
  unreachable: { firstMs: 250, factor: 1.1, longestMs: 2_000 },
  refused: { firstMs: 2_000, factor: 1.6, longestMs: 30_000 },
});

/** Why an attempt failed, as far as the next one is concerned. */
export type Setback = "unreachable" | "refused";

/** How far a pause may be off, so that many nodes do not ask in step. */
const JITTER = 0.2;

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
