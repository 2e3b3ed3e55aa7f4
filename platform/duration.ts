/**
 * Durations in milliseconds, in which this program counts all time.
 *
 * @module
 */

/** A second. */
export const SECOND_MS = 1_000;
/** A minute. */
export const MINUTE_MS: number = 60 * SECOND_MS;

/** A duration for people, in seconds with one decimal place, without the unit. */
export function secondsText(ms: number): string {
  return (ms / SECOND_MS).toFixed(1);
}
