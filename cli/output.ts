/**
 * What the command line prints at its end: a result, or an error that says what happened, to what, and what to do next.
 *
 * @module
 */
import type { BootstrapError, ErrorFamily, FailedCheck } from "../platform/errors.ts";
import { errorFamily } from "../platform/errors.ts";
import { errorFields } from "../platform/log.ts";
import type { CliContext, OutputForm } from "./context.ts";

/** What to do after an error that does not say so itself. */
const NEXT: Readonly<Record<ErrorFamily, string>> = {
  usage: "Correct what is named above, and run the command again",
  malformed: "Check where these bytes come from: they are not of the form that this version reads",
  refused:
    "Compare the expected and the seen value: either the machine is not what it should be, or the policy is wrong",
  unauthorized: "Check whose key this is, and whether it is the one that the other side is configured with",
  protocol: "Check that both sides run the same version; if they do, somebody may be in between",
  precondition: "Bring it into the state that is asked for above, and run the command again",
  conflict: "Find out who holds it, by what is shown above; nothing was taken from them",
  unavailable: "Run the command again in a while",
  timeout: "Check that the other side is up and can be reached, and run the command again",
  aborted: "Run the command again when you want it to be done",
  system: "Check the operating system's reason above",
  internal: "This is a defect in this program: please report it with the output above",
};
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
  return error.next === "" ? NEXT[errorFamily(error.code)] : error.next;
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
