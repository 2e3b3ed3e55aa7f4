/**
 * How a command's output reaches the person or the program that called it: as YAML if wanted, with colours or without,
 * and with a log that the reader can read.
 *
 * @module
 */
import { createLog } from "../platform/log.ts";
import type { CliContext, PrintedForm, Terminal } from "./context.ts";
import { printedForm } from "./options.ts";
import type { ParsedOptions } from "./options.ts";
import { printable } from "./output.ts";

/** What prints to standard output. */
export type Printer = Pick<CliContext, "print" | "printJson">;

/** Returns the context with which a command runs that was called with these options. */
export async function printedContext(parsed: ParsedOptions, context: CliContext): Promise<CliContext> {
  const form = printedForm(parsed);
  const { terminal, clock, printError, log } = context;
  return {
    ...context,
    ...await printerOf(form, context),
    terminal: withColours(terminal, parsed.getOptionValue("color") !== false),
    log: form === "text" && terminal.isErrorTerminal
      ? createLog(clock, (line) => printError(`${line}\n`), "info", {}, logLine)
      : log,
  };
}

/** Returns a terminal that shows colours only if the caller wants them too. */
export function withColours(terminal: Terminal, areWanted: boolean): Terminal {
  return { ...terminal, hasColours: terminal.hasColours && areWanted };
}

/**
 * Returns what prints objects in a form: each as a document of its own where that is YAML. YAML is loaded at once, as a
 * command drops the permission that it takes.
 */
export async function printerOf(form: PrintedForm, { print, printJson }: Printer): Promise<Printer> {
  if (form === "text" || form === "json") return { print, printJson };
  const { stringify } = await import("yaml");
  // Readers of YAML 1.1 would take some plain words, such as `yes`, for other values.
  const options = { lineWidth: 0, compat: "yaml-1.1" } as const;
  return { print, printJson: (value) => print(`---\n${stringify(value, options)}`) };
}

/** Formats an event of the log for people: `12:00:05 phase-started phase=detect`; what is not usual has its level. */
export function logLine(entry: Readonly<Record<string, unknown>>): string {
  const { time, level, event, ...fields } = entry;
  const clock = String(time).slice("2026-01-01T".length, "2026-01-01T00:00:00".length);
  const facts = Object.entries(fields).filter(([, value]) => value !== undefined).map(([key, value]) => {
    const text = printable(typeof value === "string" ? value : JSON.stringify(value), Infinity);
    return `${key}=${/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)}`;
  });
  return [clock, ...(level === "info" ? [] : [String(level).toUpperCase()]), String(event), ...facts].join(" ");
}
