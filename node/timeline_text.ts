/**
 * A timeline as text: one line per phase, with aligned bars.
 *
 * @module
 */
import type { Timeline, TimelinePhase } from "./timeline.ts";

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
const BAR = { succeeded: "█", failed: "▓", running: "▒", interrupted: "░" } as const;

/** The span of a picture and of each phase in it, in milliseconds since 1970. */
export interface TimelineSpan {
  /** The start of the first phase. */
  readonly fromMs: number;
  /** The end of the last phase, at least a millisecond after `fromMs`. */
  readonly toMs: number;
  /** The start and the end of each phase. */
  readonly phases: readonly { readonly phase: TimelinePhase; readonly fromMs: number; readonly toMs: number }[];
}

/**
 * Computes the start and the end of each phase. Interrupted phases have no length; running phases last until `nowMs`.
 */
export function timelineSpan(timeline: Timeline, nowMs: number): TimelineSpan {
  const phases = timeline.phases.map((phase) => {
    const lengthMs = phase.durationMs ?? (phase.outcome === "running" ? Math.max(0, nowMs - phase.startMs) : 0);
    return { phase, fromMs: phase.startMs, toMs: phase.startMs + lengthMs };
  });
  const fromMs = phases.reduce((least, phase) => Math.min(least, phase.fromMs), phases[0]?.fromMs ?? nowMs);
  const toMs = phases.reduce((most, phase) => Math.max(most, phase.toMs), fromMs + 1);
  return { fromMs, toMs, phases };
}

/** Formats a duration for people: `0.4 s`, `12.3 s`, `1 min 07 s`. */
export function durationText(ms: number): string {
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

/**
 * Draws a timeline. Each line has the phase's name, its start relative to the first phase, its duration, a bar, and any
 * outcome other than success.
 *
 * @returns Lines that each end with a line feed; a single sentence for a timeline without phases.
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
