/**
 * A timeline as text: one line a phase, with aligned bars.
 *
 * @module
 */
import type { Timeline, TimelinePhase } from "./timeline.ts";

/** How a timeline is drawn. */
export interface TimelineTextOptions {
  /** The time at which phases that are still running end in the picture, milliseconds since 1970. */
  readonly nowMs: number;
  /** The width of a line in characters. Default: 100. */
  readonly width?: number;
}

const DEFAULT_WIDTH = 100;
const LEAST_BAR_WIDTH = 10;
const LONGEST_NAME = 40;
const BAR = { succeeded: "█", failed: "▓", running: "▒", interrupted: "░" } as const;

/** The span of a picture and of each phase in it, in milliseconds since 1970. */
export interface TimelineSpan {
  /** Where the first phase begins. */
  readonly fromMs: number;
  /** At least a millisecond after {@linkcode fromMs}. */
  readonly toMs: number;
  /** Where each phase begins and ends. */
  readonly phases: readonly { readonly phase: TimelinePhase; readonly fromMs: number; readonly toMs: number }[];
}

/** Where each phase begins and ends. Phases that were interrupted have no length; running ones last until `nowMs`. */
export function timelineSpan(timeline: Timeline, nowMs: number): TimelineSpan {
  const phases = timeline.phases.map((phase) => {
    const lengthMs = phase.durationMs ?? (phase.outcome === "running" ? Math.max(0, nowMs - phase.startMs) : 0);
    return { phase, fromMs: phase.startMs, toMs: phase.startMs + lengthMs };
  });
  const fromMs = phases.reduce((least, phase) => Math.min(least, phase.fromMs), phases[0]?.fromMs ?? nowMs);
  const toMs = phases.reduce((most, phase) => Math.max(most, phase.toMs), fromMs + 1);
  return { fromMs, toMs, phases };
}

/** A duration as people read it: `0.4 s`, `12.3 s`, `1 min 07 s`. */
export function durationText(ms: number): string {
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

/**
 * Draws a timeline: name, start after the first phase's, duration, bar, and what did not go well.
 *
 * @returns Lines, each ended by a line feed; one sentence for a timeline without phases.
 */
export function timelineText(timeline: Timeline, options: TimelineTextOptions): string {
  const { fromMs, toMs, phases } = timelineSpan(timeline, options.nowMs);
  if (phases.length === 0) return "no phase has begun yet\n";
  const rows = phases.map((span) => ({
    span,
    name: span.phase.name.slice(0, LONGEST_NAME),
    start: `+${durationText(span.fromMs - fromMs)}`,
    duration: span.phase.outcome === "interrupted" ? "?" : durationText(span.toMs - span.fromMs),
    note: span.phase.outcome === "succeeded" ? "" : `  ${span.phase.outcome} ${span.phase.code ?? ""}`.trimEnd(),
  }));
  const widest = (texts: readonly string[]) => Math.max(...texts.map((text) => text.length));
  const nameWidth = widest(rows.map(({ name }) => name));
  const startWidth = widest(rows.map(({ start }) => start));
  const durationWidth = widest(rows.map(({ duration }) => duration));
  const taken = nameWidth + startWidth + durationWidth + 6;
  const barWidth = Math.max(LEAST_BAR_WIDTH, (options.width ?? DEFAULT_WIDTH) - taken);
  const column = (ms: number) => Math.round(((ms - fromMs) / (toMs - fromMs)) * barWidth);
  return rows.map(({ span, name, start, duration, note }) => {
    const left = Math.min(column(span.fromMs), barWidth - 1);
    const bar = BAR[span.phase.outcome].repeat(Math.max(1, column(span.toMs) - left));
    const cells = [name.padEnd(nameWidth), start.padStart(startWidth), duration.padStart(durationWidth)];
    return `${cells.join("  ")}  ${" ".repeat(left)}${bar}${note}\n`;
  }).join("");
}
