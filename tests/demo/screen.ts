import type { NodeRow } from "./node_row.ts";
import { nodeLine, nodeTable } from "./node_table.ts";

/** The output of a {@linkcode Screen}. */
export interface ScreenOptions {
  /** Writes a text to the output, unchanged. */
  readonly write: (text: string) => void;
  /** The current width of the terminal in characters; undefined when the output is not a terminal. */
  readonly columns: () => number | undefined;
  /** The current time, in milliseconds since 1970. */
  readonly nowMs: () => number;
}

const heartbeatMs = 20_000;
const eraseBelow = "\u001b[J";

/**
 * Shows the steps of the demo and the table of nodes. On a terminal, the table and the current step are redrawn in
 * place below the earlier output. Otherwise each change is written as a line.
 */
export class Screen {
  readonly #options: ScreenOptions;
  #rows: readonly NodeRow[] = [];
  #step: { readonly title: string; readonly startMs: number; saidMs: number } | undefined;
  #drawnLines = 0;

  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  begin(title: string): void {
    const startMs = this.#options.nowMs();
    this.#step = { title, startMs, saidMs: startMs };
    if (this.#options.columns() === undefined) this.#options.write(stepLine("…", 0, title));
    else this.#draw();
  }

  /** Ends the current step. */
  end(succeeded: boolean): void {
    if (this.#step === undefined) return;
    const { title, startMs } = this.#step;
    this.#step = undefined;
    this.say(stepLine(succeeded ? "✓" : "✗", this.#options.nowMs() - startMs, title));
  }

  /** Writes lines that stay above the table. Each line ends with a line feed. */
  say(text: string): void {
    this.#options.write(`${this.#erase()}${text}`);
    this.#draw();
  }

  /** Shows the current state of the nodes. */
  show(rows: readonly NodeRow[]): void {
    const earlier = new Map(this.#rows.map((row) => [row.name, nodeLine(row)]));
    this.#rows = rows;
    if (this.#options.columns() !== undefined) return this.#draw();
    const changed = rows.filter((row) => nodeLine(row) !== earlier.get(row.name));
    for (const row of changed) this.#options.write(stepLine(" ", this.#stepMs(), nodeLine(row)));
  }

  /** Updates the elapsed seconds. Called about twice a second. */
  tick(): void {
    if (this.#options.columns() !== undefined) return this.#draw();
    const nowMs = this.#options.nowMs();
    if (this.#step === undefined || nowMs - this.#step.saidMs < heartbeatMs) return;
    this.#step.saidMs = nowMs;
    this.#options.write(stepLine("…", nowMs - this.#step.startMs, this.#step.title));
  }

  /** Leaves the table on the terminal as it is; later output goes below it. */
  leave(): void {
    this.#draw();
    this.#rows = [];
    this.#drawnLines = 0;
  }

  #draw(): void {
    const columns = this.#options.columns();
    if (columns === undefined) return;
    const nowMs = this.#options.nowMs();
    const table = this.#rows.length === 0 ? [] : ["", ...nodeTable(this.#rows, nowMs), ""];
    const step = this.#step === undefined
      ? []
      : [stepLine("…", nowMs - this.#step.startMs, this.#step.title).trimEnd()];
    // The cursor would count a line that wraps as two.
    const lines = [...table, ...step].map((line) => `${line.slice(0, columns - 1)}\n`);
    this.#options.write(`${this.#erase()}${lines.join("")}`);
    this.#drawnLines = lines.length;
  }

  /** How long the current step has taken. */
  #stepMs(): number {
    return this.#step === undefined ? 0 : this.#options.nowMs() - this.#step.startMs;
  }

  #erase(): string {
    const up = this.#drawnLines === 0 ? "" : `\u001b[${this.#drawnLines}A\r${eraseBelow}`;
    this.#drawnLines = 0;
    return up;
  }
}

const secondsWidth = 4;

function stepLine(mark: string, ms: number, title: string): string {
  return `${(ms / 1000).toFixed(0).padStart(secondsWidth)} s ${mark} ${title}\n`;
}
