import assert from "node:assert/strict";
import { sleepingClock } from "../platform/testing/sleeping_clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { pollUntil } from "./_poll.ts";

const common = {
  firstMs: 10,
  longestMs: 40,
  deadlineMs: 200,
  code: "timeout/peer",
  failure: "It did not come",
} as const;

Deno.test("pollUntil() polls at growing intervals until there is a value", async () => {
  const { clock, slept } = sleepingClock();
  let looks = 0;
  assert.equal(await pollUntil(() => Promise.resolve(++looks === 5 ? looks : undefined), { ...common, clock }), 5);
  assert.deepEqual(slept, [10, 20, 40, 40]);
});

Deno.test("pollUntil() ends with its code and the last problem when the time is over", async () => {
  const problem = new BootstrapError("unavailable/connection", "not yet");
  const polled = pollUntil(() => Promise.reject(problem), { ...common, clock: sleepingClock().clock, next: "Look" });
  await assert.rejects(polled, (error: unknown) => {
    assert.ok(error instanceof BootstrapError);
    assert.deepEqual([error.code, error.message, error.next], ["timeout/peer", "It did not come within 0.2 s", "Look"]);
    assert.equal(error.cause, problem);
    return true;
  });
});

Deno.test("pollUntil() gives up at once when an error is not retriable, or its signal aborts", async () => {
  const { clock, slept } = sleepingClock();
  const problem = new BootstrapError("unauthorized/etcd", "never");
  await assert.rejects(pollUntil(() => Promise.reject(problem), { ...common, clock }), problem);
  const reason = new Error("ended");
  await assert.rejects(
    pollUntil(() => Promise.resolve(undefined), { ...common, clock, signal: AbortSignal.abort(reason) }),
    reason,
  );
  assert.deepEqual(slept, []);
});
