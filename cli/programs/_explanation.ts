/**
 * Formats explained verdicts, for people and for programs.
 *
 * @module
 */
import type { Explanation } from "../../attestation/explain/explain.ts";
import type { ExplainedRegister, FirstDifference } from "../../attestation/explain/explained_registers.ts";
import type { ExplainedEvent } from "../../attestation/explain/replayed_log.ts";
import { errorFields } from "../../platform/log.ts";
import { printable, sentence } from "../output.ts";

const MARKS = { passed: "ok", refused: "REFUSED", "not judged": "not judged" } as const;
/** The narrowest column of checks. A blank follows the longest name. */
const CHECK_WIDTH = 20;
const MARK_WIDTH = 12;
const TYPE_WIDTH = 34;
const SHOWN_DIGITS = 16;
/** If a PCR has more events, only those around the first difference are shown, because boot loaders write hundreds. */
const MOST_EVENTS = 40;
const EVENTS_AROUND = 5;

/** Formats an explanation as one JSON object. */
export function explanationJson({ refusal, ...explanation }: Explanation): Readonly<Record<string, unknown>> {
  return { ...explanation, refusal: refusal === null ? null : errorFields(refusal) };
}

/** Formats the verdict in a few lines. */
function verdictText({ verdict, refusal, claims, role, remarks }: Explanation): string {
  const lines = refusal !== null
    ? [`Verdict: ${verdict} (${refusal.code}): ${printable(refusal.message)}`]
    : [`Verdict: ${verdict}`, `  identity  ${claims?.identity ?? ""}`, `  role      ${role ?? ""}`];
  const notes = remarks.map((remark) => `Note: ${sentence(printable(remark))}`);
  return [...lines, "", ...notes, ...(notes.length === 0 ? [] : [""])].join("\n");
}

/** Formats the verdict, every check, and the events of each refused PCR. */
export function explanationText(explanation: Explanation): string {
  const width = Math.max(CHECK_WIDTH, ...explanation.checks.map(({ check }) => check.length + 1));
  const checks = explanation.checks.flatMap(({ check, verdict, expected, seen, message }) => {
    const line = `  ${check.padEnd(width)}${MARKS[verdict].padEnd(MARK_WIDTH)}`;
    if (verdict === "passed") return [`${line}${brief(seen)}`];
    const facts = [`      expected  ${printable(expected)}`, `      seen      ${printable(seen)}`];
    return [`${line}${printable(message)}`, ...facts];
  });
  return [verdictText(explanation), "Checks:", ...checks, ...explanation.registers.flatMap(registerLines), ""].join(
    "\n",
  );
}

function registerLines(register: ExplainedRegister): readonly string[] {
  const { name, quoted, log, replayed, events, firstDifference } = register;
  const title = `${name}, quoted as ${quoted}`;
  if (log === "absent") return ["", `${title}: there is no event log to explain it.`];
  if (log === "differs") {
    return ["", `${title}: the event log does not explain it, as it replays to ${replayed}.`];
  }
  const at = firstDifference?.same;
  return ["", `${title}, which the event log replays to:`, ...eventLines(events, at), ...differenceLines(register)];
}

function eventLines(events: readonly ExplainedEvent[], at: number | undefined): readonly string[] {
  if (events.length === 0) return ["  nothing was measured into it"];
  const lines = events.map((event, index) => `${index === at ? "> " : "  "}${eventLine(event)}`);
  if (events.length <= MOST_EVENTS) return lines;
  const from = Math.max(0, Math.min((at ?? events.length) - EVENTS_AROUND, events.length - 2 * EVENTS_AROUND));
  const to = from + 2 * EVENTS_AROUND;
  const left = [`  … ${from} events before …`, `  … ${events.length - to} events after …`];
  return [...from > 0 ? left.slice(0, 1) : [], ...lines.slice(from, to), ...to < events.length ? left.slice(1) : []];
}

function eventLine({ number, type, digest, description, confirmed }: ExplainedEvent): string {
  const place = number === null ? "-" : String(number);
  const text = `${printable(description)}${confirmed ? "" : " (the log's word)"}`;
  return `${place.padStart(4)} ${type.padEnd(TYPE_WIDTH)} ${digest.slice(0, SHOWN_DIGITS)} ${text}`;
}

function differenceLines({ reference, firstDifference }: ExplainedRegister): readonly string[] {
  if (reference === null) return [];
  if (reference !== "replays") {
    return ["  The reference's log does not replay to its own register, or is missing: nothing to compare."];
  }
  if (firstDifference === null) {
    return ["  The reference has the same events: the policy does not allow the reference either."];
  }
  return differenceText(firstDifference);
}

function differenceText({ same, here, there }: FirstDifference): readonly string[] {
  return [
    `  The first event that is not in the reference, after ${same} equal ones:`,
    `    here       ${here === null ? "nothing more" : eventLine(here).trim()}`,
    `    reference  ${there === null ? "nothing more" : eventLine(there).trim()}`,
  ];
}

/** Shortens a correct value, which people only need to recognise. */
function brief(text: string): string {
  const line = printable(text);
  return /^[0-9a-f]{65,}$/.test(line) ? `${line.slice(0, SHOWN_DIGITS)}…` : line;
}
