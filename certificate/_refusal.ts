/**
 * Refusals that name the check.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";
import type { ErrorCheck } from "../platform/errors.ts";

/** The error of a check that failed, `refused/CHECK`, with what was expected and seen. */
export function refusal(
  check: ErrorCheck<"refused/">,
  message: string,
  expected: string,
  seen: string,
): BootstrapError {
  return new BootstrapError(`refused/${check}`, message, { details: { check, expected, seen } });
}
