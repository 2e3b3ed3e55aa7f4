/** A measured figure with the same figure of its baseline. */
export interface Figure {
  readonly name: string;
  /** The baseline, measured in the same run. */
  readonly baseline: string;
  /** `ms`, `MB`, `/s`, or empty for a plain number. */
  readonly unit: string;
  readonly value: number;
  readonly baselineValue: number;
  /** The limit for the value, or for its ratio to the baseline's value. */
  readonly goal?: { readonly of: "value" | "ratio"; readonly is: "at most" | "at least"; readonly limit: number };
}

/** Value over baseline. */
export function ratioOf({ value, baselineValue }: Figure): number {
  return value / baselineValue;
}

/** Whether the goal is met; `undefined` if the figure has no goal. */
export function isMet(figure: Figure): boolean | undefined {
  const { goal } = figure;
  if (goal === undefined) return undefined;
  const seen = goal.of === "value" ? figure.value : ratioOf(figure);
  return goal.is === "at most" ? seen <= goal.limit : seen >= goal.limit;
}

/** The smallest of the values that at least the share `part` (0 to 1) of them does not exceed. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? NaN;
}

/** The figures as a table for people. */
export function figuresTable(figures: readonly Figure[]): string {
  const rounded = (value: number) => Number.isFinite(value) ? value.toFixed(value < 10 ? 2 : 0) : "-";
  const cells = [
    ["measured", "", "", "baseline", "", "ratio", "goal", ""],
    ...figures.map((figure) => {
      const { name, value, unit, baseline, baselineValue, goal } = figure;
      const met = isMet(figure);
      return [
        ...[name, rounded(value), unit, baseline, rounded(baselineValue), rounded(ratioOf(figure))],
        goal === undefined ? "" : `${goal.of} ${goal.is} ${goal.limit}`,
        met === undefined ? "" : met ? "met" : "MISSED",
      ];
    }),
  ];
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const isNumber = (column: number) => column === 1 || column === 4 || column === 5;
  return cells.map((row) =>
    row.map((cell, i) => isNumber(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)).join("  ").trimEnd()
  ).join("\n") + "\n";
}
