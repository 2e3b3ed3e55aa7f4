import { median } from "./pairs.ts";

/** A figure that was measured in several rounds, in each one together with its baseline. */
export interface Figure {
  readonly name: string;
  readonly baseline: string;
  /** `ms`, `MB`, `/s`, or empty for a plain number. */
  readonly unit: string;
  /** The value of each round. */
  readonly values: readonly number[];
  /** The baseline's value in each round. */
  readonly baselineValues: readonly number[];
  readonly goal?: Goal;
}

/** The limit that a figure must keep. */
export interface Goal {
  /** The median of the values, the median of the pairs' ratios, or each value by itself. */
  readonly of: "value" | "ratio" | "each value";
  readonly is: "at most" | "at least";
  readonly limit: number;
  /** The goal is not judged by fewer pairs than these. Default: {@linkcode FEWEST_PAIRS}. */
  readonly fewestPairs?: number;
}

/** Medians and ranges of a figure. */
export interface Summary {
  readonly pairs: number;
  readonly median: number;
  readonly range: Range;
  readonly baselineMedian: number;
  readonly baselineRange: Range;
  /** The median of the pairs' ratios, value over baseline. */
  readonly ratio: number;
  readonly ratioRange: Range;
}

/** The smallest and the largest of some numbers. */
export type Range = readonly [least: number, most: number];

/** Whether a goal is met. */
export type Verdict = "met" | "MISSED" | "too few pairs";

/** Fewer pairs do not show whether a goal is met. */
export const FEWEST_PAIRS = 5;

/** Summarises a figure. A ratio to a baseline of 0 is left out; without any ratio, they are `NaN`. */
export function summaryOf({ values, baselineValues }: Figure): Summary {
  const ratios = values.map((value, i) => value / (baselineValues[i] ?? NaN)).filter(Number.isFinite);
  return {
    pairs: values.length,
    median: median(values),
    range: rangeOf(values),
    baselineMedian: median(baselineValues),
    baselineRange: rangeOf(baselineValues),
    ratio: ratios.length === 0 ? NaN : median(ratios),
    ratioRange: ratios.length === 0 ? [NaN, NaN] : rangeOf(ratios),
  };
}

/** Judges a figure by its goal; `undefined` if it has none. */
export function verdictOf(figure: Figure): Verdict | undefined {
  const { goal, values } = figure;
  if (goal === undefined) return undefined;
  if (values.length < (goal.fewestPairs ?? FEWEST_PAIRS)) return "too few pairs";
  const { median, ratio } = summaryOf(figure);
  const judged = goal.of === "each value" ? values : [goal.of === "value" ? median : ratio];
  const isMet = judged.every((one) => goal.is === "at most" ? one <= goal.limit : one >= goal.limit);
  return isMet ? "met" : "MISSED";
}

/** The smallest of the values that at least the share `part` (0 to 1) of them does not exceed. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? NaN;
}

function rangeOf(values: readonly number[]): Range {
  return [Math.min(...values), Math.max(...values)];
}
