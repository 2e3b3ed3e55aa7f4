import assert from "node:assert/strict";
import { type PartEstimate, partSeconds, roughly, totalSeconds } from "./build_estimates.ts";

const compiled: PartEstimate = { what: "a program", stage: "all-cores", coreSeconds: 120 };
const tree: PartEstimate = { what: "a tree", stage: "beside", coreSeconds: 40 };
const image: PartEstimate = { what: "an image", stage: "after", coreSeconds: 10 };
const reference = { cores: 2, slowdown: 1 };

Deno.test("partSeconds() divides the work among the cores when the part uses all, and grows with the slowdown", () => {
  assert.equal(partSeconds(compiled, reference), 60);
  assert.equal(partSeconds(compiled, { cores: 8, slowdown: 1 }), 15);
  assert.equal(partSeconds(compiled, { cores: 2, slowdown: 3 }), 180);
  assert.equal(partSeconds(tree, { cores: 8, slowdown: 2 }), 80);
});

Deno.test("totalSeconds() adds up the processor time and the parts that come after it", () => {
  assert.equal(totalSeconds([], reference), 0);
  assert.equal(totalSeconds([compiled, compiled, tree, image], reference), 60 + 60 + 20 + 10);
});

Deno.test("totalSeconds() is no shorter than the part that runs on one core at the same time", () => {
  assert.equal(totalSeconds([compiled, tree, image], { cores: 12, slowdown: 1 }), 40 + 10);
});

Deno.test("roughly() gives tens of seconds, and minutes from a minute and a half on", () => {
  assert.deepEqual([0, 12, 88, 90, 91, 640].map(roughly), ["10 s", "10 s", "90 s", "90 s", "2 min", "11 min"]);
});
