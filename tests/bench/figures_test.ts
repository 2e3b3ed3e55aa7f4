import assert from "node:assert/strict";
import type { Figure, Goal } from "./figures.ts";
import { quantile, summaryOf, verdictOf } from "./figures.ts";

const figure: Figure = {
  ...{ name: "a", baseline: "b", unit: "ms" },
  ...{ values: [10, 20, 90, 30, 40], baselineValues: [10, 10, 30, 10, 40] },
};
const withGoal = (goal: Goal): Figure => ({ ...figure, goal });

Deno.test("quantile() returns one of the measured values", () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.equal(quantile(values, 0.5), 50);
  assert.equal(quantile(values, 0.99), 99);
  assert.equal(quantile([7], 0.01), 7);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

Deno.test("summaryOf() gives medians, ranges, and the median of the pairs' ratios", () => {
  assert.deepEqual(summaryOf(figure), {
    ...{ pairs: 5, median: 30, range: [10, 90], baselineMedian: 10, baselineRange: [10, 40] },
    ...{ ratio: 2, ratioRange: [1, 3] },
  });
});

Deno.test("summaryOf() leaves out the ratio to a baseline of 0", () => {
  const { ratio, ratioRange } = summaryOf({ ...figure, values: [3, 4], baselineValues: [0, 2] });
  assert.deepEqual([ratio, ratioRange], [2, [2, 2]]);
  assert.ok(Number.isNaN(summaryOf({ ...figure, values: [0], baselineValues: [0] }).ratio));
});

Deno.test("verdictOf() compares the median, the ratio or each value with the goal", () => {
  const cases: readonly (readonly [Goal["of"], Goal["is"], number, string])[] = [
    ["value", "at most", 30, "met"],
    ["value", "at most", 29, "MISSED"],
    ["ratio", "at least", 2, "met"],
    ["ratio", "at least", 2.1, "MISSED"],
    ["each value", "at most", 90, "met"],
    ["each value", "at most", 89, "MISSED"],
  ];
  for (const [of, is, limit, verdict] of cases) assert.equal(verdictOf(withGoal({ of, is, limit })), verdict);
  assert.equal(verdictOf(figure), undefined);
});

Deno.test("verdictOf() does not judge by fewer pairs than the goal demands", () => {
  const goal = { of: "value", is: "at most", limit: 100 } as const;
  assert.equal(verdictOf({ ...withGoal(goal), values: [1, 2, 3, 4] }), "too few pairs");
  assert.equal(verdictOf(withGoal({ ...goal, fewestPairs: 7 })), "too few pairs");
});
