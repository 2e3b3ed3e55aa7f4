import assert from "node:assert/strict";
import { Overdue, waitUntil } from "./wait_until.ts";

const soon = { what: "Ready node", deadlineMs: 20, everyMs: 1 };

Deno.test("waitUntil() returns the first result that is neither undefined nor false", async () => {
  const seen = [undefined, false, "Ready"] as const;
  let looks = 0;
  assert.equal(await waitUntil({ ...soon, deadlineMs: 10_000 }, () => Promise.resolve(seen[looks++])), "Ready");
  assert.equal(looks, 3);
});

Deno.test("waitUntil() reports what it waited for, how long, how slow the machine was, and what was seen last", async () => {
  const looks = ["no route to host\n", "NotReady:\u001b[2J no network"];
  const waiting = waitUntil(soon, ({ saw }) => {
    const text = looks.shift();
    if (text !== undefined) saw(text);
    return Promise.resolve(undefined);
  });
  await assert.rejects(waiting, (error: Error) => {
    assert(error instanceof Overdue);
    assert.equal(
      error.message,
      "Cannot go on: no Ready node after 0 s (slowdown of this machine: 1.0); seen last: NotReady: [2J no network",
    );
    return true;
  });
});

Deno.test("waitUntil() does not report what was seen last when nothing was seen, and throws what the check throws", async () => {
  await assert.rejects(waitUntil(soon, () => Promise.resolve(false)), /slowdown of this machine: 1\.0\)$/);
  await assert.rejects(waitUntil(soon, () => Promise.reject(new Error("disk on fire"))), /^Error: disk on fire$/);
});

Deno.test("waitUntil() waits longer on a slow machine, and tells the check how slow it is", async () => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs += 1_000, measureSlowdown: () => Promise.resolve(5) };
  const slowdowns: number[] = [];
  const waiting = waitUntil({ ...soon, deadlineMs: 10_000, clock }, ({ slowdown }) => {
    slowdowns.push(slowdown);
    return Promise.resolve(undefined);
  });
  await assert.rejects(waiting, /after 4\d s \(slowdown of this machine: 4\.\d\)/);
  assert.deepEqual([slowdowns.at(0), slowdowns.at(-1)], [1, 5]);
});
