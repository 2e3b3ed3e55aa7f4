import assert from "node:assert/strict";
import { untilAborted } from "../../platform/abortable.ts";
import { withDeadline } from "./with_deadline.ts";

const reason = (after: string) => new Error(`not ended ${after}`);

Deno.test("withDeadline() returns the result of the work", async () => {
  assert.equal(await withDeadline(60_000, reason, () => Promise.resolve(7)), 7);
});

Deno.test("withDeadline() aborts the work's signal at the deadline, and reports the elapsed time", async () => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs += 30_000, measureSlowdown: () => Promise.resolve(1) };
  await assert.rejects(
    withDeadline(30_000, reason, untilAborted, clock),
    /not ended after 30 s \(slowdown of this machine: 1\.0\)/,
  );
});
