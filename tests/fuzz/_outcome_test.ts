import assert from "node:assert/strict";
import process from "node:process";
import { BootstrapError } from "../../platform/errors.ts";
import { outcomeOf } from "./_outcome.ts";

const LONGEST_MS = 1_000;
const INPUT = new Uint8Array([1]);

/** Feeds an input that takes these times in turn, on a machine that is slower by the given factor. */
async function timed(timesMs: readonly number[], slowdown: number, run: (feed: number) => void = () => {}) {
  const seen = { feeds: 0, measurements: 0 };
  const { failure } = await outcomeOf(() => run(++seen.feeds), {}, INPUT, {
    longestMs: LONGEST_MS,
    stopwatch: () => () => timesMs[seen.feeds - 1] ?? assert.fail("it is fed too often"),
    measureSlowdown: () => Promise.resolve((seen.measurements++, slowdown)),
  });
  return { ...seen, failure };
}

Deno.test("outcomeOf() measures nothing and feeds once when the input is fast enough for the reference machine", async () => {
  assert.deepEqual(await timed([999], 1), { feeds: 1, measurements: 0, failure: undefined });
});

Deno.test("outcomeOf() gives a slow machine more time in proportion", async () => {
  assert.deepEqual(await timed([2_999], 3), { feeds: 1, measurements: 1, failure: undefined });
  assert.match((await timed([3_000, 3_000], 3)).failure ?? "", /^slow: it took 3000 ms .* 3000 ms are the most here$/);
});

Deno.test("outcomeOf() feeds a slow input again, as its code may be cold, and judges it by the second time", async () => {
  assert.deepEqual(await timed([5_000, 999], 1), { feeds: 2, measurements: 1, failure: undefined });
  assert.deepEqual(await timed([5_000, 1_999], 2), { feeds: 2, measurements: 1, failure: undefined });
  assert.match((await timed([1_000, 1_000], 1)).failure ?? "", /^slow: it took 1000 ms/);
});

Deno.test("outcomeOf() reports a failure of the second run", async () => {
  const { failure = "" } = await timed([5_000, 1], 1, (feed) => {
    if (feed === 2) throw new TypeError("no function");
  });
  assert.match(failure, /TypeError: no function/);
});

Deno.test("outcomeOf() fails an input that is slow by processor time", async () => {
  const spin = () => {
    const [start, usage] = [performance.now(), process.cpuUsage()];
    const spentMs = () => Object.values(process.cpuUsage(usage)).reduce((sum, us) => sum + us / 1000, 0);
    while (performance.now() - start < 30 || spentMs() < 30);
  };
  const measureSlowdown = () => Promise.resolve(2);
  assert.match((await outcomeOf(spin, {}, INPUT, { longestMs: 10, measureSlowdown })).failure ?? "", /^slow: /);
  assert.equal((await outcomeOf(spin, {}, INPUT, { longestMs: Infinity, measureSlowdown })).failure, undefined);
});

Deno.test("outcomeOf() treats a code for bad input as an outcome, and everything else as a failure", async () => {
  const ending = (error: unknown) =>
    outcomeOf(
      () => {
        throw error;
      },
      { mayEndIn: ["system"] },
      INPUT,
    );
  assert.deepEqual(await ending(new BootstrapError("malformed/der", "Cannot read 12 octets")), {
    shape: "malformed/der: Cannot read # octets",
  });
  assert.equal((await ending(new BootstrapError("system/file", "x"))).failure, undefined);
  assert.match((await ending(new BootstrapError("internal/etcd", "x"))).failure ?? "", /is no code for an input/);
  assert.match((await ending("text")).failure ?? "", /no Error was thrown/);
});
