import assert from "node:assert/strict";
import { measureProcessorSlowdown, measureSlowdown, slowdownOf } from "./machine_speed.ts";

const quiet = { probeMs: 60, load: 0, cores: 2 };

Deno.test("slowdownOf() is 1 for the quiet reference machine, and for every faster one", () => {
  assert.equal(slowdownOf(quiet), 1);
  assert.equal(slowdownOf({ ...quiet, probeMs: 10 }), 1);
  assert.equal(slowdownOf({ ...quiet, load: 1.5 }), 1);
});

Deno.test("slowdownOf() uses the worse of the probe and the load per core", () => {
  assert.equal(slowdownOf({ ...quiet, probeMs: 180 }), 3);
  assert.equal(slowdownOf({ ...quiet, probeMs: 180, load: 8 }), 4);
  assert.equal(slowdownOf({ ...quiet, load: 8, cores: 4 }), 2);
});

Deno.test("slowdownOf() is at most 8", () => {
  assert.equal(slowdownOf({ ...quiet, probeMs: 60_000 }), 8);
  assert.equal(slowdownOf({ ...quiet, load: 100 }), 8);
});

for (const measure of [measureSlowdown, measureProcessorSlowdown]) {
  Deno.test(`${measure.name}() returns a slowdown`, async () => {
    const measured = await measure();
    assert(measured >= 1 && measured <= 8, String(measured));
  });
}
