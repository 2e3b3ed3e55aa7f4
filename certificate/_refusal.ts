/**
 * Refusals with the name of the failed check.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";
import type { ErrorCheck } from "../platform/errors.ts";

/** The error of a failed check: `refused/CHECK`, with the expected and the seen value. */
export function refusal(
  check: ErrorCheck<"refused/">,
  message: string,
  expected: string,
  seen: string,
  next = "",
): BootstrapError {
  return new BootstrapError(`refused/${check}`, message, { next, details: { check, expected, seen } });
}
