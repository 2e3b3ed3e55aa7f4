/**
 * Checks, one a line: they stop at the first refusal, or, where somebody listens, are reported one by one.
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
  /** That two texts are the same. @throws {BootstrapError} `refused/CHECK` if nobody listens. */
  expect(check: RefusalCheck, seen: string, expected: string, message: string): void;
  /** That a text is one of some. @throws {BootstrapError} `refused/CHECK` if nobody listens. */
  expectOneOf(check: RefusalCheck, seen: string, expected: readonly string[], message: string): void;
  /** That a task does not fail. `seen` is what it looks at, for the report. @throws What it throws, if nobody listens. */
  run(check: string, seen: string, task: () => Promise<void>): Promise<void>;
  /** What the checks after it cannot do without. @throws What the task throws, always, or the refusal before it. */
  need<T>(check: string, task: () => T | Promise<T>): Promise<T>;
  /** The end of all checks. @throws {BootstrapError} The first refusal. */
  end(): void;
}

const SATISFIED = "as it must be";

/**
 * Begins a verification.
 *
 * @param report Hears every check; without it the first refusal is thrown at once.
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
    expectOneOf(check, seen, expected, message) {
      const wanted = expected.join(", ");
      if (expected.includes(seen)) report?.({ check, passed: true, expected: wanted, seen, message: "" });
      else refuse(check, refusal(check, message, wanted, seen));
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
