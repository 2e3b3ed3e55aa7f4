import assert from "node:assert/strict";
import fc from "fast-check";
import { systemClock } from "./clock.ts";
import { BootstrapError } from "./errors.ts";
import { sleepingClock } from "./testing/sleeping_clock.ts";
import { type BackOff, backOffMs, DEFAULT_BACK_OFF, type FailedTry, retry } from "./retry.ts";

const LONG_MS = 3_600_000;
const MIDDLE = () => 0.5;
const busy = new BootstrapError("unavailable/connection", "busy");

/** Work that fails with each of these errors in turn, and then succeeds. */
function failing(...errors: readonly Error[]): { readonly work: () => Promise<string>; tries: number } {
  const left = [...errors];
  const counted = {
    tries: 0,
    work() {
      counted.tries++;
      const error = left.shift();
      return error === undefined ? Promise.resolve("done") : Promise.reject(error);
    },
  };
  return counted;
}

Deno.test("backOffMs() grows to its maximum, and deviates by at most the jitter", () => {
  const numbers = fc.record({
    firstMs: fc.integer({ min: 1, max: 10_000 }),
    factor: fc.double({ min: 1, max: 4, noNaN: true }),
    longestMs: fc.integer({ min: 10_000, max: 100_000 }),
    jitter: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  const failures = fc.integer({ min: 1, max: 5_000 });
  fc.assert(fc.property(numbers, failures, fc.double({ min: 0, max: 1, noNaN: true }), (backOff, count, random) => {
    const middleMs = backOffMs(backOff, count, 0.5);
    assert.ok(middleMs <= backOffMs(backOff, count + 1, 0.5) && middleMs <= backOff.longestMs);
    const pauseMs = backOffMs(backOff, count, random);
    assert.ok(Math.abs(pauseMs - middleMs) <= backOff.jitter * backOff.longestMs + 1);
    assert.ok(pauseMs >= 0);
  }));
});

Deno.test("retry() returns the first try's result without sleeping when it succeeds", async () => {
  const { clock, slept } = sleepingClock();
  assert.equal(await retry(() => Promise.resolve(7), { clock, random: MIDDLE }), 7);
  assert.deepEqual(slept, []);
});

Deno.test("retry() tries again until it succeeds, after growing pauses, and reports each failed try", async () => {
  const { clock, slept } = sleepingClock();
  const told: FailedTry[] = [];
  const { work } = failing(...Array(8).fill(busy));
  assert.equal(await retry(work, { clock, random: MIDDLE, onFailedTry: (failed) => told.push(failed) }), "done");
  assert.deepEqual(slept, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  assert.deepEqual(told, slept.map((pauseMs, index) => ({ error: busy, failures: index + 1, pauseMs })));
});

Deno.test("retry() takes the jitter from its source", async () => {
  const { clock, slept } = sleepingClock();
  const numbers = [0, 1];
  await retry(failing(busy, busy).work, { clock, random: () => numbers.shift() ?? assert.fail() });
  assert.deepEqual(slept, [200, 600]);
});

Deno.test("retry() throws an error that is not retriable at once, unchanged", async () => {
  for (const error of [new BootstrapError("refused/pcr-4", "never"), new TypeError("a defect")]) {
    const { clock, slept } = sleepingClock();
    const counted = failing(busy, error);
    await assert.rejects(retry(counted.work, { clock, random: MIDDLE }), (thrown) => thrown === error);
    assert.deepEqual([slept, counted.tries], [[250], 2]);
  }
});

Deno.test("retry() lets its caller decide which errors are retried, and how soon", async () => {
  const { clock, slept } = sleepingClock();
  const slow: BackOff = { ...DEFAULT_BACK_OFF, firstMs: 5_000 };
  const full = new BootstrapError("system/file", "the disk is full");
  const options = { clock, random: MIDDLE, isRetriable: () => true };
  const backOff = ({ code }: BootstrapError) => code === "system/file" ? slow : DEFAULT_BACK_OFF;
  assert.equal(await retry(failing(busy, full).work, { ...options, backOff }), "done");
  assert.deepEqual(slept, [250, 10_000]);
  await assert.rejects(retry(failing(busy).work, { ...options, isRetriable: () => false }), busy);
});

Deno.test("retry() begins with short pauses again when the work has made progress", async () => {
  const { clock, slept } = sleepingClock();
  const { work } = failing(busy, busy, busy, busy);
  let tries = 0;
  await retry((startOver) => {
    if (++tries === 3) startOver();
    return work();
  }, { clock, random: MIDDLE });
  assert.deepEqual(slept, [250, 500, 250, 500]);
});

Deno.test("retry() ends at once when it is aborted: before it begins, between two tries, and during one", async () => {
  const reason = new BootstrapError("aborted/call", "stopped");
  const never = failing();
  const aborted = AbortSignal.abort(reason);
  await assert.rejects(retry(never.work, { clock: systemClock, random: MIDDLE, signal: aborted }), reason);
  assert.equal(never.tries, 0);

  const pausing = new AbortController();
  const backOff = { ...DEFAULT_BACK_OFF, firstMs: LONG_MS, longestMs: LONG_MS };
  const slow = { clock: systemClock, random: MIDDLE, backOff };
  const waiting = retry(failing(busy).work, {
    ...slow,
    signal: pausing.signal,
    onFailedTry: () => queueMicrotask(() => pausing.abort(reason)),
  });
  await assert.rejects(waiting, reason);

  const working = new AbortController();
  const ended = () => {
    working.abort(reason);
    return Promise.reject(busy);
  };
  await assert.rejects(retry(ended, { ...slow, signal: working.signal }), reason);
});

Deno.test("retry() gives up after the maximum number of tries, and counts from zero after a start over", async () => {
  const options = { clock: sleepingClock().clock, random: MIDDLE, maximumTries: 3 };
  const saved = failing(busy, busy);
  assert.equal(await retry(saved.work, options), "done");
  const lost = failing(busy, busy, busy);
  await assert.rejects(retry(lost.work, options), busy);
  assert.equal(lost.tries, 3);
  const moving = failing(busy, busy, busy, busy);
  const work = (startOver: () => void) => {
    if (moving.tries === 2) startOver();
    return moving.work();
  };
  assert.equal(await retry(work, options), "done");
});
