/**
 * The named checks of a verification. Without a listener they stop at the first refusal; with one, each check is
 * reported.
 *
 * @module
 */
import { refusal } from "../protocol/refusal.ts";
import type { RefusalCheck } from "../protocol/refusal.ts";
import type { BootstrapError } from "../platform/errors.ts";
import { asBootstrapError } from "../platform/errors.ts";
import type { EvidenceCheck } from "./evidence.ts";

/** The checks of one verification. */
export interface Checks {
  /** Checks that two texts are the same. @throws {BootstrapError} `refused/CHECK` without a listener. */
  expect(check: RefusalCheck, seen: string, expected: string, message: string): void;
  /**
   * Checks that a text is in a list. `next` is the next action if it is not; default: that of the refusal's code.
   *
   * @throws {BootstrapError} `refused/CHECK` without a listener.
   */
  expectOneOf(
    check: RefusalCheck,
    seen: string,
    expected: readonly string[],
    message: string,
    next?: string,
  ): void;
  /**
   * Checks that a task succeeds. `seen` names the task's input in the report.
   *
   * @throws The task's error, without a listener.
   */
  run(check: string, seen: string, task: () => Promise<void>): Promise<void>;
  /** Returns a value that later checks need. @throws The first refusal so far, otherwise the task's error; always. */
  need<T>(check: string, task: () => T | Promise<T>): Promise<T>;
  /** Ends the verification. @throws {BootstrapError} The first refusal, if there is one. */
  end(): void;
}

const SATISFIED = "as it must be";

/**
 * Creates the checks of one verification.
 *
 * @param report Receives every check. Without it the first refusal is thrown at once.
 */
export function createChecks(report?: (check: EvidenceCheck) => void): Checks {
  let first: BootstrapError | undefined;
  const refuse = (check: string, error: BootstrapError) => {
    first ??= error;
    if (report === undefined) throw error;
    const { expected = SATISFIED, seen = "", check: name = check } = error.details;
    report({ check: name, passed: false, expected, seen, message: error.message });
  };
  const checks: Checks = {
    expect: (check, seen, expected, message) => checks.expectOneOf(check, seen, [expected], message),
    expectOneOf(check, seen, expected, message, next) {
      const wanted = expected.join(", ");
      if (expected.includes(seen)) report?.({ check, passed: true, expected: wanted, seen, message: "" });
      else refuse(check, refusal(check, message, wanted, seen, next));
    },
    async run(check, seen, task) {
      try {
        await task();
        report?.({ check, passed: true, expected: SATISFIED, seen, message: "" });
      } catch (error) {
        refuse(check, asBootstrapError(error));
      }
    },
    async need(check, task) {
      try {
        const value = await task();
        report?.({ check, passed: true, expected: SATISFIED, seen: SATISFIED, message: "" });
        return value;
      } catch (error) {
        const failure = asBootstrapError(error);
        refuse(check, failure);
        throw first ?? failure;
      }
    },
    end() {
      if (first !== undefined) throw first;
    },
  };
  return checks;
}
