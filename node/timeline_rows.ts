/**
 * The rows of a picture of a timeline, and their places: work in proportion to its time, and waiting apart, so that an
 * hour of waiting does not leave a hair's breadth to the work.
 *
 * @module
 */
import type { PhaseOutcome, Timeline } from "./timeline.ts";

/** How a row is drawn: by the outcome of a phase, or as waiting. */
export type TimelineRowKind = PhaseOutcome | "waiting";

/** A row of a picture: a phase, or a time in which no phase ran. */
export interface TimelineRow {
  readonly name: string;
  readonly kind: TimelineRowKind;
  /** What a reader must know besides the bar: the outcome if it is not success, and the code of the failure. */
  readonly note: string;
  /** Milliseconds since 1970. */
  readonly fromMs: number;
  /** Milliseconds since 1970; of an interrupted phase, whose end is not known, the same as `fromMs`. */
  readonly toMs: number;
  /** The duration, for people; `?` for an interrupted phase. */
  readonly duration: string;
}

/** The rows of a picture, and its scale. */
export interface TimelineRows {
  readonly rows: readonly TimelineRow[];
  /** The start of the first row, in milliseconds since 1970. */
  readonly fromMs: number;
  /** The end of the last row, at least a millisecond after `fromMs`. */
  readonly toMs: number;
  /** Times in which nothing but waiting went on, and which are drawn shorter than they were. */
  readonly shortened: readonly Interval[];
  /** The place of a time in the picture, from 0 to 1. Later times have later places. */
  place(ms: number): number;
  /** The time at a place, the inverse of `place`. */
  timeAt(place: number): number;
}

/** A time from one moment to another, in milliseconds since 1970. */
export interface Interval {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Phases that wait for other machines nearly all of their time. */
const WAITING_PHASES: readonly string[] = ["join-ticket"];
/** The first phase of each start of the bootstrapper. */
const FIRST_PHASE = "detect";
/** A shorter time without a phase is no row of its own. */
const LEAST_WAIT_MS = 1_000;
/** The part of the picture that waiting may take, if there is work too. */
const MOST_WAITING = 0.25;

/** Computes the rows of a timeline and their scale. Running phases last until `nowMs`. */
export function timelineRows(timeline: Timeline, nowMs: number): TimelineRows {
  const phases = timeline.phases.map((phase) => {
    const { name, startMs, durationMs, outcome, code } = phase;
    const lengthMs = durationMs ?? (outcome === "running" ? Math.max(0, nowMs - startMs) : 0);
    const isWaiting = outcome === "succeeded" && WAITING_PHASES.includes(name);
    return {
      ...{ name, fromMs: startMs, toMs: startMs + lengthMs, isWork: !WAITING_PHASES.includes(name) },
      kind: isWaiting ? "waiting" as const : outcome,
      note: outcome === "succeeded" ? "" : `${outcome} ${code ?? ""}`.trimEnd(),
      duration: outcome === "interrupted" ? "?" : durationText(lengthMs),
    };
  });
  const fromMs = phases.reduce((least, phase) => Math.min(least, phase.fromMs), phases[0]?.fromMs ?? nowMs);
  const toMs = phases.reduce((most, phase) => Math.max(most, phase.toMs), fromMs + 1);
  const waits = gapsBetween(phases, fromMs, toMs).filter((gap) => gap.toMs - gap.fromMs >= LEAST_WAIT_MS)
    .map((gap): TimelineRow => ({
      ...gap,
      name: phases.some((phase) => phase.name === FIRST_PHASE && phase.fromMs === gap.toMs)
        ? "(between starts)"
        : "(waiting)",
      ...{ kind: "waiting", note: "", duration: durationText(gap.toMs - gap.fromMs) },
    }));
  const rows = [...phases.map(({ isWork: _, ...row }): TimelineRow => row)];
  for (const wait of waits) {
    const next = rows.findIndex((row) => row.fromMs >= wait.toMs);
    rows.splice(next < 0 ? rows.length : next, 0, wait);
  }
  const idle = gapsBetween(phases.filter(({ isWork }) => isWork), fromMs, toMs);
  return { rows, fromMs, toMs, ...scaleOf(idle, fromMs, toMs) };
}

/** Returns the times from `fromMs` to `toMs` in which none of the intervals is under way, in order. */
function gapsBetween(intervals: readonly Interval[], fromMs: number, toMs: number): readonly Interval[] {
  const gaps: Interval[] = [];
  let untilMs = fromMs;
  for (const interval of intervals.toSorted((a, b) => a.fromMs - b.fromMs)) {
    if (interval.fromMs > untilMs) gaps.push({ fromMs: untilMs, toMs: interval.fromMs });
    untilMs = Math.max(untilMs, interval.toMs);
  }
  if (toMs > untilMs) gaps.push({ fromMs: untilMs, toMs });
  return gaps;
}

/** Makes the scale: a millisecond of waiting is as wide as one of work, or less if waiting would take too much. */
function scaleOf(
  idle: readonly Interval[],
  fromMs: number,
  toMs: number,
): Omit<TimelineRows, "rows" | "fromMs" | "toMs"> {
  const idleMs = idle.reduce((sum, gap) => sum + gap.toMs - gap.fromMs, 0);
  const workMs = toMs - fromMs - idleMs;
  const isShortened = workMs > 0 && idleMs > MOST_WAITING * (toMs - fromMs);
  const weight = isShortened ? workMs * MOST_WAITING / (1 - MOST_WAITING) / idleMs : 1;
  const total = workMs + weight * idleMs;
  const weighed = (ms: number) => {
    const idleBefore = idle.reduce((sum, gap) => sum + clamp(ms, gap) - gap.fromMs, 0);
    return (ms - fromMs - idleBefore + weight * idleBefore) / total;
  };
  return {
    shortened: isShortened ? idle : [],
    place: (ms) => weighed(clamp(ms, { fromMs, toMs })),
    timeAt: (place) => {
      let at = fromMs;
      let left = place * total;
      for (const gap of idle) {
        const beforeMs = gap.fromMs - at;
        if (left <= beforeMs) return at + left;
        left -= beforeMs;
        const gapMs = gap.toMs - gap.fromMs;
        if (left <= weight * gapMs) return gap.fromMs + left / weight;
        left -= weight * gapMs;
        at = gap.toMs;
      }
      return Math.min(toMs, at + left);
    },
  };
}

function clamp(ms: number, { fromMs, toMs }: Interval): number {
  return Math.min(Math.max(ms, fromMs), toMs);
}

/** Formats a duration for people: `0.4 s`, `12.3 s`, `1 min 07 s`. */
export function durationText(ms: number): string {
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}
