/**
 * Durations in the form in which people write them on the command line.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };
const LONGEST_MS = 24 * 3_600_000;

/**
 * Reads a duration: a whole number and `s`, `m` or `h`, at most a day.
 *
 * @returns Milliseconds, at least 1000.
 * @throws {BootstrapError} `usage/duration`; `what` names the option.
 */
export function readDuration(text: string, what: string): number {
  const [, digits = "", unit = ""] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  const ms = Number(digits) * (UNITS_MS[unit] ?? 0);
  if (ms > 0 && ms <= LONGEST_MS) return ms;
  throw new BootstrapError(
    "usage/duration",
    `Cannot use ${what} as it must be a duration like 90s, 10m or 1h, at most a day: current value is ${
      JSON.stringify(text.slice(0, 40))
    }`,
  );
}
