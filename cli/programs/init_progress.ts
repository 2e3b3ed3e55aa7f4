/**
 * Shows the progress of `bootstrapper init`: a live line for each phase on a terminal, whole lines where the text goes
 * elsewhere, and lines of JSON for programs.
 *
 * @module
 */
import type { Clock } from "../../platform/clock.ts";
import { secondsText } from "../../platform/duration.ts";
import type { ProgressEvent } from "../../proto/gen/bootstrapper.ts";
import { WARNING_PREFIX } from "../../protocol/init_steps.ts";
import { painter } from "../colour.ts";
import type { CliContext, OutputForm, Terminal } from "../context.ts";

/** The facts of a note, for programs. */
export type NoteFields = Readonly<Record<string, string | number | boolean>>;

/** Shows progress. */
export interface ProgressPrinter extends Disposable {
  /** Shows a note that is not an event of the node: `text` to people, `fields` to programs. */
  note(event: string, text: string, fields: NoteFields): void;
  /** Shows an event of the node. */
  progress(event: ProgressEvent): void;
}

const REDRAW_MS = 500;
const CLEAR_LINE = "\r\u001b[K";
const PHASE_WIDTH = 16;
const ENDS = { done: { mark: "✓", colour: "green" }, failed: { mark: "✗", colour: "red" } } as const;

/** Returns the printer for the form of output and the terminal. */
export function progressPrinter(
  { print, printJson, terminal, clock }: Pick<CliContext, "print" | "printJson" | "terminal" | "clock">,
  output: OutputForm,
): ProgressPrinter {
  if (output === "json") return new JsonPrinter(printJson, clock);
  return terminal.isTerminal ? new LivePrinter(print, terminal, clock) : new LinePrinter(print);
}

class JsonPrinter implements ProgressPrinter {
  readonly #print: (value: unknown) => void;
  readonly #clock: Pick<Clock, "now">;

  constructor(print: (value: unknown) => void, clock: Pick<Clock, "now">) {
    this.#print = print;
    this.#clock = clock;
  }

  note(event: string, _text: string, fields: NoteFields): void {
    this.#write({ event, ...fields });
  }

  progress({ number, phase, state, detail, durationMs }: ProgressEvent): void {
    const ended = state === "done" || state === "failed" ? { durationMs: Number(durationMs) } : {};
    this.#write({ event: "progress", number, phase, state, ...(detail === "" ? {} : { detail }), ...ended });
  }

  [Symbol.dispose](): void {}

  #write(fields: Readonly<Record<string, unknown>>): void {
    this.#print({ time: this.#clock.now().toISOString(), ...fields });
  }
}

/** Prints lines that are complete when they are printed: for files, for pipes, and for terminals that only print. */
class LinePrinter implements ProgressPrinter {
  readonly #print: (text: string) => void;

  constructor(print: (text: string) => void) {
    this.#print = print;
  }

  note(_event: string, text: string): void {
    for (const line of text.split("\n")) this.#print(`${printable(line)}\n`);
  }

  progress(event: ProgressEvent): void {
    const { phase, state, detail } = event;
    if (state === "started") this.#print(`… ${printable(phase)}\n`);
    else if (isPermanent(event)) this.#print(`! ${printable(phase).padEnd(PHASE_WIDTH)} ${printable(detail)}\n`);
    else if (state !== "detail") this.#print(`${ENDS[state === "done" ? "done" : "failed"].mark} ${endText(event)}\n`);
  }

  [Symbol.dispose](): void {}
}

class LivePrinter implements ProgressPrinter {
  readonly #print: (text: string) => void;
  readonly #columns: number;
  readonly #paint: ReturnType<typeof painter>;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #timer: ReturnType<typeof setInterval>;
  #open: { readonly phase: string; readonly startMs: number; detail: string } | undefined;

  constructor(print: (text: string) => void, { columns, hasColours }: Terminal, clock: Pick<Clock, "monotonicMs">) {
    this.#print = print;
    this.#columns = columns;
    this.#paint = painter(hasColours);
    this.#clock = clock;
    this.#timer = setInterval(() => this.#redraw(), REDRAW_MS);
  }

  note(_event: string, text: string): void {
    for (const line of text.split("\n")) this.#print(`${CLEAR_LINE}${printable(line)}\n`);
    this.#redraw();
  }

  progress(event: ProgressEvent): void {
    const { phase, state, detail } = event;
    if (state === "started") {
      this.#open = { phase, startMs: this.#clock.monotonicMs(), detail: "" };
      this.#redraw();
    } else if (isPermanent(event)) {
      const line = `${this.#paint("yellow", "!")} ${printable(phase).padEnd(PHASE_WIDTH)} ${printable(detail)}`;
      this.#print(`${CLEAR_LINE}${line}\n`);
      this.#redraw();
    } else if (state === "detail") {
      if (this.#open?.phase === phase) this.#open.detail = detail;
    } else {
      this.#open = undefined;
      const { mark, colour } = ENDS[state === "done" ? "done" : "failed"];
      this.#print(`${CLEAR_LINE}${this.#paint(colour, mark)} ${endText(event)}\n`);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#open !== undefined) this.#print(CLEAR_LINE);
  }

  #redraw(): void {
    if (this.#open === undefined) return;
    const { phase, startMs, detail } = this.#open;
    const line = `… ${printable(phase).padEnd(PHASE_WIDTH)} ${seconds(this.#clock.monotonicMs() - startMs)}  ${
      printable(detail)
    }`;
    this.#print(`${CLEAR_LINE}${line.slice(0, this.#columns - 1)}`);
  }
}

/** Whether an event is shown in a line of its own that stays: a try that failed, and a warning of kubeadm. */
function isPermanent({ state, detail }: ProgressEvent): boolean {
  return state === "waiting" || (state === "detail" && detail.startsWith(WARNING_PREFIX));
}

/** The end of a phase, without its mark. */
function endText({ phase, state, detail, durationMs }: ProgressEvent): string {
  const reason = state === "done" ? "" : `  ${printable(detail)}`;
  return `${printable(phase).padEnd(PHASE_WIDTH)} ${seconds(Number(durationMs))}${reason}`;
}

function seconds(ms: number): string {
  return `${secondsText(ms).padStart(6)} s`;
}

/** Removes control characters: a node's text must not control the terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, " ");
}
