import assert from "node:assert/strict";
import { measurePair, median } from "./pairs.ts";
import { rowOf, tableOf } from "./report.ts";

Deno.test("median() returns the middle value, or the mean of the two in the middle", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.throws(() => median([]), RangeError);
});

Deno.test("measurePair() alternates which of the two goes first", async () => {
  const calls: string[] = [];
  const answer = (name: string, ms: number) => () => {
    calls.push(name);
    return Promise.resolve(ms);
  };
  const pair = { name: "a", baseline: "b", repetitions: 3, measure: answer("a", 3), measureBaseline: answer("b", 2) };
  const times = await measurePair(pair);
  assert.equal(calls.join(""), "abbaab");
  assert.deepEqual(times, { name: "a", baseline: "b", timesMs: [3, 3, 3], baselineTimesMs: [2, 2, 2] });
});

Deno.test("rowOf() returns the median of the pairs' ratios, and tableOf() one line for each row", () => {
  const row = rowOf({ name: "ours", baseline: "theirs", timesMs: [10, 20, 90], baselineTimesMs: [10, 10, 30] });
  assert.deepEqual([row.medianMs, row.baselineMedianMs, row.ratio, row.ratioRange], [20, 10, 2, [1, 3]]);
  const [head, line] = tableOf([row]).split("\n");
  assert.match(head ?? "", /^measured +ms {2}baseline +ms {2}ratio +from +to {2}n$/);
  assert.match(line ?? "", /^ours +20\.0 {2}theirs +10\.0 +2\.00 {2}1\.00 {2}3\.00 {2}3$/);
});
