/**
 * Durations in milliseconds, the program's unit of time.
 *
 * @module
 */

/** One second in milliseconds. */
export const SECOND_MS = 1_000;
/** One minute in milliseconds. */
export const MINUTE_MS: number = 60 * SECOND_MS;
/** One hour in milliseconds. */
export const HOUR_MS: number = 60 * MINUTE_MS;
/** One day in milliseconds. */
export const DAY_MS: number = 24 * HOUR_MS;

/** Formats a duration for people: seconds with one decimal place, without the unit. */
export function secondsText(ms: number): string {
  return (ms / SECOND_MS).toFixed(1);
}
