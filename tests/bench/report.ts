import type { Figure, Goal, Range } from "./figures.ts";
import { summaryOf, verdictOf } from "./figures.ts";

const HEAD = ["measured", "median", "range", "", "baseline", "median", "range", "ratio", "range", "n", "goal", ""];
const TEXT_COLUMNS = [0, 3, 4, 10, 11];

/** The figures as a table for people. */
export function tableOf(figures: readonly Figure[]): string {
  const cells = [HEAD, ...figures.map(rowOf)];
  const widths = HEAD.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row.map((cell, i) => TEXT_COLUMNS.includes(i) ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))
      .join("  ").trimEnd()
  ).join("\n") + "\n";
}

/** The figures with their summaries and verdicts, for `dist/bench.json`. */
export function judged(figures: readonly Figure[]): unknown[] {
  return figures.map((figure) => ({ ...figure, ...summaryOf(figure), verdict: verdictOf(figure) }));
}

function rowOf(figure: Figure): string[] {
  const { name, unit, baseline, goal } = figure;
  const { pairs, median, range, baselineMedian, baselineRange, ratio, ratioRange } = summaryOf(figure);
  return [
    ...[name, text(median), textOfRange(range), unit],
    ...[baseline, text(baselineMedian), textOfRange(baselineRange)],
    ...[text(ratio), textOfRange(ratioRange), String(pairs)],
    ...[goal === undefined ? "" : textOfGoal(goal), verdictOf(figure) ?? ""],
  ];
}

function textOfGoal({ of, is, limit }: Goal): string {
  return `${of} ${is} ${limit}`;
}

function textOfRange([least, most]: Range): string {
  return `${text(least)} to ${text(most)}`;
}

function text(value: number): string {
  return Number.isFinite(value) ? value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0) : "-";
}
