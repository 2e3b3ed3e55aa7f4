import assert from "node:assert/strict";
import fc from "fast-check";
import { readDuration } from "./duration.ts";

Deno.test("readDuration() gives milliseconds", () => {
  assert.equal(readDuration("90s", "--wait"), 90_000);
  assert.equal(readDuration("10m", "--wait"), 600_000);
  assert.equal(readDuration("24h", "--wait"), 86_400_000);
});

Deno.test("readDuration() refuses everything else", () => {
  for (const text of ["", "0s", "10", "m", "1.5h", "-1s", "25h", "1441m", "1d", "1 s", "1s ", "9999999s", "1S"]) {
    assert.throws(() => readDuration(text, "--wait"), { code: "usage/duration" }, text);
  }
  fc.assert(fc.property(fc.string().filter((text) => !/^\d+[smh]$/.test(text)), (text) => {
    assert.throws(() => readDuration(text, "--wait"), { code: "usage/duration" });
  }));
});
