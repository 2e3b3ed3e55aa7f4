/**
 * Shows the progress of `bootstrapper init`: a live line for each phase on a terminal, lines of JSON otherwise.
 *
 * @module
 */
import type { Clock } from "../../platform/clock.ts";
import { secondsText } from "../../platform/duration.ts";
import type { ProgressEvent } from "../../proto/gen/bootstrapper.ts";
import { WARNING_PREFIX } from "../../protocol/init_steps.ts";
import type { CliContext, OutputForm } from "../context.ts";

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

/** Returns the printer for the form of output and the terminal. */
export function progressPrinter(
  { print, terminal, clock }: Pick<CliContext, "print" | "terminal" | "clock">,
  output: OutputForm,
): ProgressPrinter {
  return terminal.isTerminal && output === "text"
    ? new LivePrinter(print, terminal.columns, clock)
    : new LinePrinter(print, clock);
}

class LinePrinter implements ProgressPrinter {
  readonly #print: (text: string) => void;
  readonly #clock: Pick<Clock, "now">;

  constructor(print: (text: string) => void, clock: Pick<Clock, "now">) {
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
    this.#print(`${JSON.stringify({ time: this.#clock.now().toISOString(), ...fields })}\n`);
  }
}

class LivePrinter implements ProgressPrinter {
  readonly #print: (text: string) => void;
  readonly #columns: number;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #timer: ReturnType<typeof setInterval>;
  #open: { readonly phase: string; readonly startMs: number; detail: string } | undefined;

  constructor(print: (text: string) => void, columns: number, clock: Pick<Clock, "monotonicMs">) {
    this.#print = print;
    this.#columns = columns;
    this.#clock = clock;
    this.#timer = setInterval(() => this.#redraw(), REDRAW_MS);
  }

  note(_event: string, text: string): void {
    for (const line of text.split("\n")) this.#print(`${CLEAR_LINE}${printable(line)}\n`);
    this.#redraw();
  }

  progress({ phase, state, detail, durationMs }: ProgressEvent): void {
    if (state === "started") {
      this.#open = { phase, startMs: this.#clock.monotonicMs(), detail: "" };
      this.#redraw();
    } else if (state === "detail" && !detail.startsWith(WARNING_PREFIX)) {
      if (this.#open?.phase === phase) this.#open.detail = detail;
    } else if (state === "waiting" || state === "detail") {
      this.#print(`${CLEAR_LINE}! ${printable(phase).padEnd(16)} ${printable(detail)}\n`);
      this.#redraw();
    } else {
      this.#open = undefined;
      const mark = state === "done" ? "✓" : "✗";
      const reason = state === "done" ? "" : `  ${printable(detail)}`;
      this.#print(`${CLEAR_LINE}${mark} ${printable(phase).padEnd(16)} ${seconds(Number(durationMs))}${reason}\n`);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#open !== undefined) this.#print(CLEAR_LINE);
  }

  #redraw(): void {
    if (this.#open === undefined) return;
    const { phase, startMs, detail } = this.#open;
    const line = `… ${printable(phase).padEnd(16)} ${seconds(this.#clock.monotonicMs() - startMs)}  ${
      printable(detail)
    }`;
    this.#print(`${CLEAR_LINE}${line.slice(0, this.#columns - 1)}`);
  }
}

function seconds(ms: number): string {
  return `${secondsText(ms).padStart(6)} s`;
}

/** Removes control characters: a node's text must not control the terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, " ");
}
