import type { NodeRow } from "./node_row.ts";
import { nodeLine, nodeTable } from "./node_table.ts";

/** What a {@linkcode Screen} draws on. */
export interface ScreenOptions {
  /** Writes to the output, as it is. */
  readonly write: (text: string) => void;
  /** The width of the terminal in characters, now; undefined where the output is no terminal. */
  readonly columns: () => number | undefined;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
}

const heartbeatMs = 20_000;
const eraseBelow = "\u001b[J";

/**
 * Shows the steps of the demo and the table of nodes: on a terminal the table and the present step are drawn again in
 * place, below what has been said; otherwise each change is a line.
 */
export class Screen {
  readonly #options: ScreenOptions;
  #rows: readonly NodeRow[] = [];
  #step: { readonly title: string; readonly startMs: number; saidMs: number } | undefined;
  #drawnLines = 0;

  /** A screen that shows nothing yet. */
  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  /** Begins a step. */
  begin(title: string): void {
    const startMs = this.#options.nowMs();
    this.#step = { title, startMs, saidMs: startMs };
    if (this.#options.columns() === undefined) this.#options.write(stepLine("…", 0, title));
    else this.#draw();
  }

  /** Ends the present step. */
  end(succeeded: boolean): void {
    if (this.#step === undefined) return;
    const { title, startMs } = this.#step;
    this.#step = undefined;
    this.say(stepLine(succeeded ? "✓" : "✗", this.#options.nowMs() - startMs, title));
  }

  /** Says something for good: lines, each ended by a line feed. */
  say(text: string): void {
    this.#options.write(`${this.#erase()}${text}`);
    this.#draw();
  }

  /** Shows the nodes as they are now. */
  show(rows: readonly NodeRow[]): void {
    const earlier = new Map(this.#rows.map((row) => [row.name, nodeLine(row)]));
    this.#rows = rows;
    if (this.#options.columns() !== undefined) return this.#draw();
    const changed = rows.filter((row) => nodeLine(row) !== earlier.get(row.name));
    for (const row of changed) this.#options.write(stepLine(" ", this.#stepMs(), nodeLine(row)));
  }

  /** To be called about twice a second: lets the seconds go on. */
  tick(): void {
    if (this.#options.columns() !== undefined) return this.#draw();
    const nowMs = this.#options.nowMs();
    if (this.#step === undefined || nowMs - this.#step.saidMs < heartbeatMs) return;
    this.#step.saidMs = nowMs;
    this.#options.write(stepLine("…", nowMs - this.#step.startMs, this.#step.title));
  }

  /** Leaves the table on the terminal as it is: what comes now is said below it. */
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
    // A line that wraps would be two to the cursor.
    const lines = [...table, ...step].map((line) => `${line.slice(0, columns - 1)}\n`);
    this.#options.write(`${this.#erase()}${lines.join("")}`);
    this.#drawnLines = lines.length;
  }

  /** How long the present step has taken. */
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
