import assert from "node:assert/strict";
import { systemClock } from "./clock.ts";

const LONG_MS = 3_600_000;

Deno.test("systemClock.sleep() resolves after its time", async () => {
  const before = systemClock.monotonicMs();
  await systemClock.sleep(5);
  // Timers may fire a fraction of a millisecond early.
  assert(systemClock.monotonicMs() - before >= 4);
});

Deno.test("systemClock.sleep() ends with the signal's reason when it aborts, before or while it sleeps", async () => {
  const reason = new Error("enough");
  await assert.rejects(systemClock.sleep(LONG_MS, AbortSignal.abort(reason)), reason);
  const controller = new AbortController();
  const slept = systemClock.sleep(LONG_MS, controller.signal);
  controller.abort(reason);
  await assert.rejects(slept, reason);
});

Deno.test("systemClock.sleep() is not disturbed by a signal that aborts afterwards", async () => {
  const controller = new AbortController();
  await systemClock.sleep(0, controller.signal);
  controller.abort();
});

Deno.test("systemClock.now() is the time of day", () => {
  assert(Math.abs(systemClock.now().getTime() - Date.now()) < 1000);
});
