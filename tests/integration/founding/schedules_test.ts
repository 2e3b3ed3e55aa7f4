/** A few random schedules; `deno task test:full founding/schedules` plays many. */
import assert from "node:assert/strict";
import { playSchedules } from "./schedules.ts";

const COUNT = 20;
const JOBS = 3;

Deno.test("founders that are killed and cut off at random become one cluster, and never two", async () => {
  const [seed = 0] = crypto.getRandomValues(new Uint32Array(1));
  const results = await playSchedules(seed, COUNT, JOBS);
  assert.equal(results.length, COUNT);
  const isOne = results.filter(({ outcome }) => outcome === "one cluster");
  assert.ok(isOne.length >= COUNT / 2, `--seed ${seed}: ${COUNT - isOne.length} schedules lost a majority`);
});
