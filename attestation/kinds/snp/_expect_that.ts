/**
 * A check that is not the comparison of two texts.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { RefusalCheck } from "../../../protocol/refusal.ts";
import type { Checks } from "../../checks.ts";

/** That something holds; if not, what was expected and seen. */
export function expectThat(
  checks: Checks,
  check: RefusalCheck,
  holds: boolean,
  message: string,
  expected: string,
  seen: string,
): Promise<void> {
  return checks.run(check, seen, () => {
    return holds ? Promise.resolve() : Promise.reject(refusal(check, message, expected, seen));
  });
}
