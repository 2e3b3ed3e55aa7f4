import assert from "node:assert/strict";
import { VerificationQueue } from "./verification_queue.ts";

const present = new AbortController().signal;

Deno.test("VerificationQueue does as much at once as it may, the rest in turn, and refuses what is too much", async () => {
  const queue = new VerificationQueue({ maximumActive: 2, maximumWaiting: 3 });
  const order: number[] = [];
  const gates = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
  const all = gates.map(({ promise }, index) =>
    queue.run(async () => {
      order.push(index);
      await promise;
      return index;
    }, present)
  );
  await assert.rejects(all[5] ?? assert.fail(), { code: "unavailable/busy", retriable: true });
  assert.deepEqual(order, [0, 1]);
  gates[1]?.resolve();
  await all[1];
  gates.forEach(({ resolve }) => resolve());
  assert.deepEqual(await Promise.all(all.slice(0, 5)), [0, 1, 2, 3, 4]);
  assert.deepEqual(order, [0, 1, 2, 3, 4]);
});

Deno.test("VerificationQueue passes on the place of work that failed, and of a peer that is gone", async () => {
  const queue = new VerificationQueue({ maximumActive: 1, maximumWaiting: 2 });
  const gate = Promise.withResolvers<void>();
  const gone = new AbortController();
  const first = queue.run(() => gate.promise, present);
  const leaving = queue.run(() => assert.fail("it is gone"), gone.signal);
  const third = queue.run(() => Promise.resolve("third"), present);
  gone.abort(new Error("gone"));
  await assert.rejects(leaving, { message: "gone" });
  gate.reject(new Error("failed"));
  await assert.rejects(first, { message: "failed" });
  assert.equal(await third, "third");
  await assert.rejects(queue.run(() => assert.fail(), gone.signal), { message: "gone" });
  assert.equal(await queue.run(() => Promise.resolve("free again"), present), "free again");
});
