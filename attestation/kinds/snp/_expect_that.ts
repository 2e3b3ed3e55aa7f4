/**
 * Checks that do not compare two texts.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { RefusalCheck } from "../../../protocol/refusal.ts";
import type { Checks } from "../../checks.ts";

/** Checks that a condition holds. A refusal shows the expected and the seen value. */
export function expectThat(
  checks: Checks,
  check: RefusalCheck,
  holds: boolean,
  message: string,
  expected: string,
  seen: string,
  next = "",
): Promise<void> {
  return checks.run(check, seen, () => {
    return holds ? Promise.resolve() : Promise.reject(refusal(check, message, expected, seen, next));
  });
}
