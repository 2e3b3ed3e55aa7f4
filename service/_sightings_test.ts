import assert from "node:assert/strict";
import fc from "fast-check";
import { MAXIMUM_CLOCK_SKEW_MS } from "../platform/clock_skew.ts";
import { Sightings } from "./_sightings.ts";
import { START_MS, TestClock } from "./testing/queue.ts";

Deno.test("Sightings.ageMs() counts from when the mark was first seen in its present form, whatever time it names", () => {
  const time = { ms: 0 };
  const sightings = new Sightings(new TestClock(time));
  const future = START_MS + 10 * MAXIMUM_CLOCK_SKEW_MS;
  assert.equal(sightings.ageMs("mark", future), 0);
  time.ms = 7_000;
  assert.equal(sightings.ageMs("mark", future), 7_000);
  assert.equal(sightings.ageMs("other", future), 0);
  assert.equal(sightings.ageMs("mark", future + 1), 0);
  time.ms = 9_000;
  sightings.keepOnly(["other"]);
  assert.equal(sightings.ageMs("other", future), 2_000);
  assert.equal(sightings.ageMs("mark", future + 1), 0);
});

Deno.test("Sightings.ageMs() of a mark that it sees for the first time is 0, whatever time it names", () => {
  const sightings = new Sightings(new TestClock({ ms: 3_600_000 }));
  assert.equal(sightings.ageMs("mark", START_MS), 0);
});

Deno.test("Sightings.ageMs() is never more than the true age, however far the clocks are apart", () => {
  const aheadMs = fc.integer({ min: -1_000_000_000, max: 1_000_000_000 });
  const looksMs = fc.array(fc.integer({ min: 0, max: 2_000_000 }), { maxLength: 8 });
  fc.assert(fc.property(aheadMs, aheadMs, looksMs, (writerAhead, readerAhead, gaps) => {
    const time = { ms: 0 };
    const stampMs = new TestClock(time, writerAhead).now().getTime();
    const sightings = new Sightings(new TestClock(time, readerAhead));
    for (const gap of gaps) {
      time.ms += gap;
      assert.ok(sightings.ageMs("mark", stampMs) <= time.ms);
    }
  }));
});
