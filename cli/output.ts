/**
 * What the command line prints at its end: a result, or an error that says what happened, to what, and what to do next.
 *
 * @module
 */
import type { BootstrapError, FailedCheck } from "../platform/errors.ts";
import { remedyOf } from "../platform/errors.ts";
import { errorFields } from "../platform/log.ts";
import type { CliContext, OutputForm } from "./context.ts";

const LABEL_WIDTH = 12;
/** Of facts that are long, the text shows this much; the JSON shows all of it. */
const LONGEST_FACT = 400;

/** Prints a result, as text for people or as one JSON object. */
export function printResult(
  context: Pick<CliContext, "print">,
  form: OutputForm,
  result: Readonly<Record<string, unknown>>,
  text: string,
): void {
  context.print(form === "json" ? `${JSON.stringify(result)}\n` : text.endsWith("\n") ? text : `${text}\n`);
}

/** Prints an error: as text on standard error, or as one JSON object `{"error": …}` on standard output. */
export function printError(
  context: Pick<CliContext, "print" | "printError">,
  form: OutputForm,
  error: BootstrapError,
): void {
  if (form === "json") context.print(`${JSON.stringify({ error: { ...errorFields(error), next: nextOf(error) } })}\n`);
  else context.printError(errorText(error));
}

/** What to do after an error. */
export function nextOf(error: BootstrapError): string {
  return error.next === "" ? remedyOf(error.code) : error.next;
}

/** The facts that failed checks do not say themselves. */
export function factsBeside(
  checks: readonly FailedCheck[],
  details: Readonly<Record<string, string>>,
): (readonly [string, string])[] {
  const said = checks.length === 0 ? [] : ["check", "expected", "seen"];
  return Object.entries(details).filter(([key, value]) => value !== "" && !said.includes(key));
}

/** An error for people: what happened, the facts, the failed checks, the causes, and what to do next. */
export function errorText(error: BootstrapError): string {
  const { causes } = errorFields(error);
  const lines = [
    ...factsBeside(error.checks, error.details),
    ...error.checks.flatMap(({ check, expected, seen, message }) =>
      [["check", `${check}: ${message}`], ["  expected", expected], ["  seen", seen]] as const
    ),
    ...(Array.isArray(causes) ? causes.filter((cause) => !error.message.includes(cause)) : []).map((
      cause: string,
    ): [string, string] => ["because", cause]),
    ["code", error.code] as const,
  ];
  const facts = lines.map(([label, value]) => `  ${label.padEnd(LABEL_WIDTH)} ${printable(value)}\n`).join("");
  return `Error: ${printable(error.message, Infinity)}.\n${facts}Next: ${nextOf(error)}.\n`;
}

/** Text from anywhere, on one line, without what would steer a terminal, and not longer than `longest`. */
export function printable(text: string, longest = LONGEST_FACT): string {
  const oneLine = text.replaceAll(/\p{Cc}+/gu, " ").trim();
  return oneLine.length > longest ? `${oneLine.slice(0, longest)}…` : oneLine;
}
