/**
 * Prints the result of a command, or its error: the event, the facts, and the next action.
 *
 * @module
 */
import type { BootstrapError, FailedCheck } from "../platform/errors.ts";
import { nextOf } from "../platform/errors.ts";
import { errorFields } from "../platform/log.ts";
import { painter } from "./colour.ts";
import type { CliContext, OutputForm } from "./context.ts";

export { nextOf } from "../platform/errors.ts";

const LABEL_WIDTH = 12;
/** The number of characters of a long fact that the text shows. JSON shows the whole fact. */
const LONGEST_FACT = 400;

/** Prints a result, as text for people or as one JSON object. */
export function printResult(
  context: Pick<CliContext, "print" | "printJson">,
  form: OutputForm,
  result: Readonly<Record<string, unknown>>,
  text: string,
): void {
  if (form === "json") context.printJson(result);
  else context.print(text.endsWith("\n") ? text : `${text}\n`);
}

/** Prints an error: as text on standard error, or as one JSON object `{"error": …}` on standard output. */
export function printError(
  { printJson, printError, terminal }: Pick<CliContext, "printJson" | "printError" | "terminal">,
  form: OutputForm,
  error: BootstrapError,
): void {
  if (form === "json") return printJson({ error: { ...errorFields(error), next: nextOf(error) } });
  const paint = painter(terminal.isErrorTerminal && terminal.hasColours);
  printError(errorText(error).replace(/^Error:/, (word) => paint("red", word)));
}

/** Returns the details that the failed checks do not already contain. */
export function factsBeside(
  checks: readonly FailedCheck[],
  details: Readonly<Record<string, string>>,
): (readonly [string, string])[] {
  const said = checks.length === 0 ? [] : ["check", "expected", "seen"];
  return Object.entries(details).filter(([key, value]) => value !== "" && !said.includes(key));
}

/** Formats an error for people: its message, the facts, the failed checks, the causes, and the next action. */
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
  return `Error: ${sentence(printable(error.message, Infinity))}\n${facts}Next: ${sentence(nextOf(error))}\n`;
}

/** Ends a text with a full stop, unless it ends with a mark. */
export function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

/** Makes untrusted text safe to print: on one line, without control characters, and cut to `longest` characters. */
export function printable(text: string, longest = LONGEST_FACT): string {
  const oneLine = text.replaceAll(/\p{Cc}+/gu, " ").trim();
  return oneLine.length > longest ? `${oneLine.slice(0, longest)}…` : oneLine;
}
