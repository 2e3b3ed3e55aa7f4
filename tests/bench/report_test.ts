import assert from "node:assert/strict";
import type { Figure } from "./figures.ts";
import { judged, tableOf } from "./report.ts";

const figure: Figure = {
  ...{ name: "ours", baseline: "theirs", unit: "ms" },
  ...{ values: [10, 20, 90, 30, 40], baselineValues: [10, 10, 30, 10, 40] },
  goal: { of: "value", is: "at most", limit: 29 },
};

Deno.test("tableOf() shows medians, ranges, the number of pairs, and goals that are missed", () => {
  const [head, line] = tableOf([figure]).split("\n");
  assert.match(head ?? "", /^measured +median +range +baseline +median +range +ratio +range +n +goal$/);
  const expected = "ours 30.0 10.0 to 90.0 ms theirs 10.0 10.0 to 40.0 2.00 1.00 to 3.00 5 value at most 29 MISSED";
  assert.equal(line?.replace(/ +/g, " "), expected);
});

Deno.test("tableOf() shows a dash for a ratio to a baseline of 0", () => {
  const [, line] = tableOf([{ ...figure, values: [0], baselineValues: [0] }]).split("\n");
  assert.match(line ?? "", / - +- to - +1 +value at most 29 +too few pairs$/);
});

Deno.test("judged() adds summary and verdict to each figure", () => {
  const [one] = judged([figure]);
  assert.deepEqual(one, {
    ...figure,
    ...{ pairs: 5, median: 30, range: [10, 90], baselineMedian: 10, baselineRange: [10, 40] },
    ...{ ratio: 2, ratioRange: [1, 3], verdict: "MISSED" },
  });
});
