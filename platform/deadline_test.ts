import assert from "node:assert/strict";
import { abortable, untilAborted } from "./abortable.ts";
import { systemClock } from "./clock.ts";
import { withDeadline } from "./deadline.ts";

const late = () => new Error("late");
/** A clock whose time is over when the test says so. */
function handClock() {
  const { promise, resolve } = Promise.withResolvers<void>();
  const asked: { readonly ms: number; readonly signal: AbortSignal | undefined }[] = [];
  const sleep = (ms: number, signal?: AbortSignal) => {
    asked.push({ ms, signal });
    return abortable(promise, signal ?? new AbortController().signal);
  };
  return { clock: { sleep }, asked, pass: resolve };
}

Deno.test("withDeadline() gives the result or the error of work that ends in time, and stops its clock", async () => {
  const { clock, asked } = handClock();
  assert.equal(await withDeadline(clock, 7, late, () => Promise.resolve("done")), "done");
  await assert.rejects(withDeadline(clock, 7, late, () => Promise.reject(new Error("no"))), /^Error: no$/);
  assert.deepEqual(asked.map(({ ms, signal }) => [ms, signal?.aborted]), [[7, true], [7, true]]);
});

Deno.test("withDeadline() aborts late work, and throws the error for it whatever the work throws", async () => {
  const { clock, pass } = handClock();
  const work = withDeadline(clock, 7, late, async (signal) => {
    pass();
    await untilAborted(signal).catch(() => {});
    throw new Error("interrupted");
  });
  await assert.rejects(work, /^Error: late$/);
});

Deno.test("withDeadline() passes on a stop, whose reason is the error", async () => {
  const stop = new AbortController();
  const work = withDeadline(systemClock, 60_000, late, untilAborted, stop.signal);
  stop.abort(new Error("stopped"));
  await assert.rejects(work, /^Error: stopped$/);
});
