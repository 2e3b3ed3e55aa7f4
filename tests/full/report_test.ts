import assert from "node:assert/strict";
import { type EndedPart, report } from "./report.ts";

const part = { name: "vm/x", minutes: 5 };
const passed: EndedPart = { part, result: "passed", minutes: 4.4 };
const failed: EndedPart = { part, result: "FAILED", minutes: 1 };
const late: EndedPart = { part, result: "SKIPPED", reason: "time", minutes: 0 };
const tooLarge: EndedPart = { part, result: "SKIPPED", reason: "cores", minutes: 0 };

function lastLines(ended: readonly EndedPart[]): readonly [exitCode: number, last: string, before: string] {
  const { text, exitCode } = report(ended);
  const [before = "", last = ""] = text.split("\n").slice(-2);
  return [exitCode, last, before];
}

Deno.test("report() has a line for each part, and counts them as deno test does", () => {
  const { text, exitCode } = report([passed, failed, late]);
  assert.equal(exitCode, 1);
  assert.equal(
    text,
    `
part                      result   minutes  expected
vm/x                      passed       4.4         5
vm/x                      FAILED       1.0         5
vm/x                      SKIPPED      0.0         5
SKIPPED for lack of time (--minutes): 1 of 3 parts were not run
FAILED | 1 passed | 1 failed | 1 ignored (5m)`,
  );
});

Deno.test("report() succeeds when no part failed, even if parts were skipped", () => {
  assert.deepEqual(lastLines([passed, tooLarge]).slice(0, 2), [0, "ok | 1 passed | 0 failed | 1 ignored (4m)"]);
  assert.deepEqual(lastLines([passed, late]).slice(0, 2), [0, "ok | 1 passed | 0 failed | 1 ignored (4m)"]);
});

Deno.test("report() succeeds, with a warning, when no time was left for any part", () => {
  const said = "SKIPPED for lack of time (--minutes): no part was run";
  assert.deepEqual(lastLines([late, late, late, late]), [0, "ok | 0 passed | 0 failed | 4 ignored (0m)", said]);
  assert.deepEqual(lastLines([late, tooLarge]), [0, "ok | 0 passed | 0 failed | 2 ignored (0m)", said]);
});

Deno.test("report() fails when no part was run for a reason other than time", () => {
  const failure = "FAILED | 0 passed | 0 failed | 0 ignored (0m)";
  assert.deepEqual(lastLines([]), [1, failure, "No part was run"]);
  assert.equal(lastLines([tooLarge])[0], 1);
});

Deno.test("report() fails when a part failed, even if others were skipped for lack of time", () => {
  assert.deepEqual(lastLines([failed, late]).slice(0, 2), [1, "FAILED | 0 passed | 1 failed | 1 ignored (1m)"]);
});
