import { durationText } from "../../node/timeline_rows.ts";
import type { NodeRow, PhaseCell } from "./node_row.ts";

const heads = ["NODE", "ADDRESS", "STATE", "PHASE", "TIME", "KUBERNETES", ""];

/** The table of nodes and phases: a header and one line for each node, with aligned columns. */
export function nodeTable(rows: readonly NodeRow[], nowMs: number): string[] {
  const cells = [heads, ...rows.map((row) => cellsOf(row, nowMs))];
  const widths = heads.map((_, column) => Math.max(...cells.map((line) => (line[column] ?? "").length)));
  return cells.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd());
}

/** The parts of a row whose change is news: everything except how long the current phase has taken so far. */
export function nodeLine(row: NodeRow): string {
  const phase = shownPhase(row);
  const ended = phase?.durationMs === undefined ? "" : ` ${durationText(phase.durationMs)}`;
  const parts = [row.state, phase === undefined ? "" : `${markOf(phase)} ${phase.name}${ended}`, row.kubernetes];
  return [row.name, ...parts, row.note].filter((part) => part !== "").map(printable).join("  ");
}

function cellsOf(row: NodeRow, nowMs: number): string[] {
  const phase = shownPhase(row);
  const shown = phase === undefined
    ? ["–", ""]
    : [`${markOf(phase)} ${phase.name}`, durationText(phase.durationMs ?? Math.max(0, nowMs - phase.startMs))];
  return [row.name, row.address, row.state, ...shown, row.kubernetes || "–", row.note].map(printable);
}

/** The running phase that began last, or the last phase if none is running. */
function shownPhase({ phases }: NodeRow): PhaseCell | undefined {
  return phases.findLast(({ succeeded }) => succeeded === undefined) ?? phases.at(-1);
}

function markOf({ succeeded }: PhaseCell): string {
  return succeeded === undefined ? "…" : succeeded ? "✓" : "✗";
}

/** Text from a node must not control the terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, " ");
}
