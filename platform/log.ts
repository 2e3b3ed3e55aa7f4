/**
 * The log: one JSON object per line, with stable event names.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { causesOf } from "./errors.ts";
import type { BootstrapError, FailedCheck } from "./errors.ts";

/** The severity of an event. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** The facts of an event. They never contain secrets. */
export type LogFields = Readonly<
  Record<string, string | number | boolean | readonly string[] | readonly FailedCheck[] | undefined>
>;

/** Receives events. */
export interface Log {
  /** Writes an event. `name` is stable and in kebab case, such as `init-request-refused`. */
  event(level: LogLevel, name: string, fields?: LogFields): void;
  /** Returns a log that adds the fields to every event. They take precedence over the event's own fields. */
  with(fields: LogFields): Log;
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/**
 * Creates a log that passes lines to `write`, and drops events below the level `least`. A line is JSON unless `format`
 * makes another one of the event, whose fields `time`, `level` and `event` come first.
 */
export function createLog(
  clock: Pick<Clock, "now">,
  write: (line: string) => void,
  least: LogLevel = "debug",
  base: LogFields = {},
  format: (entry: LogFields) => string = JSON.stringify,
): Log {
  return {
    event(level, name, fields = {}) {
      if (LEVELS.indexOf(level) < LEVELS.indexOf(least)) return;
      const own = { time: clock.now().toISOString(), level, event: name, ...base };
      // Fields may contain a peer's text, which must not replace the log's own fields.
      write(format({ ...own, ...fields, ...own }));
    },
    with: (fields) => createLog(clock, write, least, { ...base, ...fields }, format),
  };
}

/** A log that drops every event, for tests that do not need it, and for output that people read. */
export const silentLog: Log = Object.freeze({ event() {}, with: () => silentLog });

/**
 * Converts an error to log fields: code, message, next action, facts, failed checks, and the chain of causes. A fact
 * never replaces another field.
 */
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
