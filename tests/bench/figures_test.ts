import assert from "node:assert/strict";
import type { Figure } from "./figures.ts";
import { figuresTable, isMet, quantile } from "./figures.ts";

const figure: Figure = { name: "a", baseline: "b", unit: "ms", value: 30, baselineValue: 20 };

Deno.test("quantile() returns one of the measured values", () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.equal(quantile(values, 0.5), 50);
  assert.equal(quantile(values, 0.99), 99);
  assert.equal(quantile([7], 0.01), 7);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

Deno.test("isMet() compares the value or the ratio with the goal", () => {
  assert.equal(isMet(figure), undefined);
  assert.equal(isMet({ ...figure, goal: { of: "value", is: "at most", limit: 30 } }), true);
  assert.equal(isMet({ ...figure, goal: { of: "value", is: "at most", limit: 29 } }), false);
  assert.equal(isMet({ ...figure, goal: { of: "ratio", is: "at least", limit: 1.5 } }), true);
  assert.equal(isMet({ ...figure, goal: { of: "ratio", is: "at least", limit: 2 } }), false);
});

Deno.test("figuresTable() marks goals that are missed", () => {
  const table = figuresTable([{ ...figure, goal: { of: "value", is: "at most", limit: 29 } }]);
  assert.match(table, /^a +30 +ms +b +20 +1\.50 +value at most 29 +MISSED$/m);
});
