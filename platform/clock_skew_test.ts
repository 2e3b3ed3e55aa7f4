import assert from "node:assert/strict";
import { checkClockSkew, MAXIMUM_CLOCK_SKEW_MS } from "./clock_skew.ts";
import { BootstrapError } from "./errors.ts";

const now = new Date("2030-01-02T03:04:05.678Z");
const at = (ms: number) => BigInt(now.getTime() + ms);

Deno.test("checkClockSkew() takes a difference up to the limit, on either side", () => {
  for (const ms of [0, 1, -1, MAXIMUM_CLOCK_SKEW_MS, -MAXIMUM_CLOCK_SKEW_MS]) checkClockSkew(at(ms), now);
  checkClockSkew(at(1000), now, 1000);
});

Deno.test("checkClockSkew() refuses a larger difference, shows both clocks, and is retriable", () => {
  for (const ms of [MAXIMUM_CLOCK_SKEW_MS + 1, -MAXIMUM_CLOCK_SKEW_MS - 1]) {
    assert.throws(() => checkClockSkew(at(ms), now), (error: unknown) => {
      assert(error instanceof BootstrapError);
      assert.equal(error.code, "precondition/clock-skew");
      assert(error.retriable);
      assert.deepEqual(error.details, {
        check: "clock-skew",
        expected: "2030-01-02T03:04:05.678Z",
        seen: new Date(now.getTime() + ms).toISOString(),
      });
      return error.message.includes("2030-01-02T03:04:05.678Z") && error.message.includes("300 s");
    });
  }
});

Deno.test("checkClockSkew() uses the caller's limit", () => {
  assert.throws(() => checkClockSkew(at(1001), now, 1000), { code: "precondition/clock-skew", message: /at most 1 s/ });
});

Deno.test("checkClockSkew() refuses times that no date can show", () => {
  for (const ms of [2n ** 63n - 1n, -(2n ** 63n), 8_640_000_000_000_001n]) {
    assert.throws(() => checkClockSkew(ms, now), { code: "precondition/clock-skew", message: new RegExp(String(ms)) });
  }
});
