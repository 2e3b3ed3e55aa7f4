/**
 * A timeline as text: one line per phase, with aligned bars.
 *
 * @module
 */
import type { Timeline } from "./timeline.ts";
import { durationText, timelineRows } from "./timeline_rows.ts";

/** Options for {@linkcode timelineText}. */
export interface TimelineTextOptions {
  /** The end of running phases in the picture, in milliseconds since 1970. */
  readonly nowMs: number;
  /** The width of a line in characters. Default: 100. */
  readonly width?: number;
}

const DEFAULT_WIDTH = 100;
const LEAST_BAR_WIDTH = 10;
const LONGEST_NAME = 40;
const BAR = { succeeded: "█", failed: "▓", running: "▒", interrupted: "░", waiting: "·" } as const;

/**
 * Draws a timeline. Each line has the phase's name, its start relative to the first phase, its duration, a bar, and any
 * outcome other than success. Waiting has lines of its own, drawn in dots, and takes at most a quarter of the width if
 * there is work too: bars of work are in proportion to each other.
 *
 * @returns Lines that each end with a line feed; a single sentence for a timeline without phases.
 */
export function timelineText(timeline: Timeline, options: TimelineTextOptions): string {
  const { fromMs, rows, place } = timelineRows(timeline, options.nowMs);
  if (rows.length === 0) return "no phase has begun yet\n";
  const cells = rows.map((row) => ({ ...row, name: row.name.slice(0, LONGEST_NAME) })).map((row) => ({
    ...row,
    start: `+${durationText(row.fromMs - fromMs)}`,
  }));
  const widest = (texts: readonly string[]) => Math.max(...texts.map((text) => text.length));
  const nameWidth = widest(cells.map(({ name }) => name));
  const startWidth = widest(cells.map(({ start }) => start));
  const durationWidth = widest(cells.map(({ duration }) => duration));
  const taken = nameWidth + startWidth + durationWidth + 6;
  const barWidth = Math.max(LEAST_BAR_WIDTH, (options.width ?? DEFAULT_WIDTH) - taken);
  const column = (ms: number) => Math.round(place(ms) * barWidth);
  return cells.map(({ name, start, duration, note, kind, ...row }) => {
    const left = Math.min(column(row.fromMs), barWidth - 1);
    const bar = BAR[kind].repeat(Math.max(1, column(row.toMs) - left));
    const line = [name.padEnd(nameWidth), start.padStart(startWidth), duration.padStart(durationWidth)].join("  ");
    return `${line}  ${" ".repeat(left)}${bar}${note === "" ? "" : `  ${note}`}\n`;
  }).join("");
}
