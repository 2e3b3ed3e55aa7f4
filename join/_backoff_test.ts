import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import { backOffMs } from "../platform/retry.ts";
import { BACK_OFF, hintedPauseMs, pauseAfterMs } from "./_backoff.ts";
import type { Setback } from "./_backoff.ts";

Deno.test("BACK_OFF tries a broken connection at once, a refusal soon, and a final one in tens of seconds to minutes", () => {
  const range = (setback: Setback) =>
    [backOffMs(BACK_OFF[setback], 1, 0), backOffMs(BACK_OFF[setback], 10_000, 1)] as const;
  assert.deepEqual(range("unreachable"), [160, 12_000]);
  assert.deepEqual(range("refused"), [800, 90_000]);
  assert.deepEqual(range("final"), [12_000, 144_000]);
});

const busy = (retryAfterSeconds: number, retriable = true) =>
  new BootstrapError("unavailable/busy", "Busy", { retriable, retryAfterSeconds });

Deno.test("hintedPauseMs() keeps to the hint or waits a little longer", () => {
  assert.equal(hintedPauseMs(busy(1), 0), 1_000);
  assert.equal(hintedPauseMs(busy(30), 1), 37_500);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.double({ min: 0, max: 1, noNaN: true }), (seconds, random) => {
      const pauseMs = hintedPauseMs(busy(seconds), random) ?? 0;
      assert.ok(pauseMs >= seconds * 1000 && pauseMs <= seconds * 1250);
    }),
  );
});

Deno.test("hintedPauseMs() accepts only 1 to 30 whole seconds, and only of a refusal that may be retried", () => {
  for (const seconds of [0, 31, 100, 300, 1000, -1, 1.5, NaN, Infinity]) {
    assert.equal(hintedPauseMs(busy(seconds), 0), undefined, String(seconds));
  }
  assert.equal(hintedPauseMs(busy(5, false), 0), undefined);
  assert.equal(hintedPauseMs(new BootstrapError("unavailable/busy", "Busy"), 0), undefined);
});

Deno.test("pauseAfterMs() waits at most 10 seconds for a service that has not proven what it is, or 75 after many attempts", () => {
  const errors = [busy(30), busy(300), busy(10), busy(30, false)];
  for (const error of errors) {
    for (const setback of ["unreachable", "refused", "final"] as const) {
      for (const random of [0, 0.5, 1]) {
        const failed = { error, setback, count: 10_000 };
        assert.ok(pauseAfterMs({ ...failed, count: 20, isFounded: false }, random) <= 10_000);
        assert.ok(pauseAfterMs({ ...failed, isFounded: false }, random) <= 75_000);
        const asked = hintedPauseMs(error, random) ?? backOffMs(BACK_OFF[setback], 10_000, random);
        assert.equal(pauseAfterMs({ ...failed, isFounded: true }, random), asked);
      }
    }
  }
});

Deno.test("pauseAfterMs() lets 1,000 nodes make no more connections to 64 listeners than to three", () => {
  for (const setback of ["unreachable", "refused", "final"] as const) {
    for (const [isFounded, count] of [[true, 1_000], [false, 20], [false, 1_000]] as const) {
      const failed = { error: busy(30, false), setback, count, isFounded };
      const pauseMs = (among: number) => pauseAfterMs({ ...failed, among }, 0.5);
      assert.equal(pauseMs(3), pauseMs(1));
      assert.ok(Math.abs(64 / pauseMs(64) - 3 / pauseMs(3)) < 1e-6, `${setback} ${pauseMs(64)} ${pauseMs(3)}`);
      const first = { ...failed, count: 1, isFounded: true };
      assert.equal(pauseAfterMs({ ...first, among: 64 }, 0.5), pauseAfterMs(first, 0.5));
    }
  }
});

Deno.test("pauseAfterMs() lets 1,000 nodes make fewer than 50 connections a second to three services that refuse them", () => {
  for (
    const [setback, isFounded] of [["refused", true], ["refused", false], [
      "final",
      true,
    ]] as const
  ) {
    const error = busy(30, false);
    const meanMs = pauseAfterMs({ error, setback, count: 1_000, isFounded }, 0.5);
    const perSecond = (1_000 * 3 * 1_000) / meanMs;
    assert.ok(perSecond < 50, `${setback}: ${perSecond} a second`);
  }
});
