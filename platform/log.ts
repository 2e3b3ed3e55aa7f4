/**
 * The log: one JSON object a line, with stable event names.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { causesOf } from "./errors.ts";
import type { BootstrapError, FailedCheck } from "./errors.ts";

/** How much an event matters. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** The facts of an event. Secrets never belong here. */
export type LogFields = Readonly<
  Record<string, string | number | boolean | readonly string[] | readonly FailedCheck[] | undefined>
>;

/** Where events go. */
export interface Log {
  /** Writes one event. `name` is stable and in kebab case, as `init-request-refused`. */
  event(level: LogLevel, name: string, fields?: LogFields): void;
  /** The same log, with fields that every event carries, whatever its own say. */
  with(fields: LogFields): Log;
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** A log that writes lines of JSON through `write`; events below the level `least` are dropped. */
export function createLog(
  clock: Pick<Clock, "now">,
  write: (line: string) => void,
  least: LogLevel = "debug",
  base: LogFields = {},
): Log {
  return {
    event(level, name, fields = {}) {
      if (LEVELS.indexOf(level) < LEVELS.indexOf(least)) return;
      const own = { time: clock.now().toISOString(), level, event: name, ...base };
      // Fields may hold what a peer said, which must not pass for the log's own.
      write(JSON.stringify({ ...own, ...fields, ...own }));
    },
    with: (fields) => createLog(clock, write, least, { ...base, ...fields }),
  };
}

/** A log that forgets everything, for tests that do not look. */
export const silentLog: Log = Object.freeze({ event() {}, with: () => silentLog });

/** An error as log fields: code, sentence, next action, facts, failed checks, and the chain of causes. Facts hide none of the others. */
export function errorFields(error: BootstrapError): LogFields {
  const causes = causesOf(error);
  const own = {
    code: error.code,
    message: error.message,
    retriable: error.retriable,
    ...(error.next === "" ? {} : { next: error.next }),
    ...(error.checks.length === 0 ? {} : { checks: error.checks }),
    ...(causes.length === 0 ? {} : { causes }),
  };
  return { ...own, ...error.details, ...own };
}
