import assert from "node:assert/strict";
import { measurePairs, median, medianMsOf, pick } from "./pairs.ts";

Deno.test("median() returns the middle value, or the mean of the two in the middle", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.throws(() => median([]), RangeError);
});

Deno.test("measurePairs() alternates which of the two goes first", async () => {
  const calls: string[] = [];
  const answer = (name: string, value: number) => () => {
    calls.push(name);
    return Promise.resolve(value);
  };
  const pairs = await measurePairs(3, answer("a", 3), answer("b", 2));
  assert.equal(calls.join(""), "abbaab");
  assert.deepEqual(pairs, { values: [3, 3, 3], baselineValues: [2, 2, 2] });
});

Deno.test("pick() takes one number from each value", () => {
  const pairs = { values: [{ ms: 1 }, { ms: 2 }], baselineValues: ["abc", "d"] };
  assert.deepEqual(pick(pairs, ({ ms }) => ms, ({ length }) => length), { values: [1, 2], baselineValues: [3, 1] });
});

Deno.test("medianMsOf() does the work as often as it is told", async () => {
  let times = 0;
  const ms = await medianMsOf(4, () => Promise.resolve(times++));
  assert.equal(times, 4);
  assert.ok(ms >= 0);
});
