import { median, type PairedTimes } from "./pairs.ts";

/** One line of the report. */
export interface BenchRow {
  readonly name: string;
  /** The name of the baseline. */
  readonly baseline: string;
  readonly repetitions: number;
  /** The median of the times. */
  readonly medianMs: number;
  /** The median of the baseline's times. */
  readonly baselineMedianMs: number;
  /** The median of the ratios of the pairs. */
  readonly ratio: number;
  /** The smallest and the largest of these ratios. */
  readonly ratioRange: readonly [number, number];
}

/** Summarises the times of a pair. */
export function rowOf({ name, baseline, timesMs, baselineTimesMs }: PairedTimes): BenchRow {
  const ratios = timesMs.map((time, i) => time / (baselineTimesMs[i] ?? NaN));
  return {
    name,
    baseline,
    repetitions: timesMs.length,
    medianMs: rounded(median(timesMs)),
    baselineMedianMs: rounded(median(baselineTimesMs)),
    ratio: rounded(median(ratios)),
    ratioRange: [rounded(Math.min(...ratios)), rounded(Math.max(...ratios))],
  };
}

/** The rows as a table for people. */
export function tableOf(rows: readonly BenchRow[]): string {
  const cells = [
    ["measured", "ms", "baseline", "ms", "ratio", "from", "to", "n"],
    ...rows.map(({ name, medianMs, baseline, baselineMedianMs, ratio, ratioRange: [least, most], repetitions }) => [
      ...[name, medianMs.toFixed(1), baseline, baselineMedianMs.toFixed(1)],
      ...[ratio.toFixed(2), least.toFixed(2), most.toFixed(2), String(repetitions)],
    ]),
  ];
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const isText = (column: number) => column === 0 || column === 2;
  return cells.map((row) =>
    row.map((cell, i) => isText(i) ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)).join("  ").trimEnd()
  ).join("\n") + "\n";
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
