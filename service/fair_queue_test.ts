import assert from "node:assert/strict";
import { FairQueue } from "./fair_queue.ts";

const present = new AbortController().signal;

Deno.test("FairQueue runs as much work at once as it may and the rest in turn, and refuses the excess", async () => {
  const queue = new FairQueue({ maximumActive: 2, maximumWaiting: 3, full: "too many wait" });
  const order: number[] = [];
  const gates = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
  const all = gates.map(({ promise }, index) =>
    queue.run(
      async () => {
        order.push(index);
        await promise;
        return index;
      },
      present,
      "one",
    )
  );
  await assert.rejects(all[5] ?? assert.fail(), {
    ...{ code: "unavailable/busy", message: "too many wait", retriable: true },
    details: { retryAfterSeconds: "5" },
  });
  assert.deepEqual(order, [0, 1]);
  gates[1]?.resolve();
  await all[1];
  gates.forEach(({ resolve }) => resolve());
  assert.deepEqual(await Promise.all(all.slice(0, 5)), [0, 1, 2, 3, 4]);
  assert.deepEqual(order, [0, 1, 2, 3, 4]);
});

Deno.test("FairQueue passes on the place of failed work, and of a peer that is gone", async () => {
  const queue = new FairQueue({ maximumActive: 1, maximumWaiting: 2, full: "too many wait" });
  const gate = Promise.withResolvers<void>();
  const gone = new AbortController();
  const first = queue.run(() => gate.promise, present, "one");
  const leaving = queue.run(() => assert.fail("it is gone"), gone.signal, "one");
  const third = queue.run(() => Promise.resolve("third"), present, "one");
  gone.abort(new Error("gone"));
  await assert.rejects(leaving, { message: "gone" });
  gate.reject(new Error("failed"));
  await assert.rejects(first, { message: "failed" });
  assert.equal(await third, "third");
  await assert.rejects(queue.run(() => assert.fail(), gone.signal, "one"), { message: "gone" });
  assert.equal(await queue.run(() => Promise.resolve("free again"), present, "one"), "free again");
});

Deno.test("FairQueue gives every part of the network its turn", async () => {
  const queue = new FairQueue({ maximumActive: 1, maximumWaiting: 8, full: "too many wait" });
  const gate = Promise.withResolvers<void>();
  const order: string[] = [];
  const enter = (name: string, group: string) =>
    queue.run(
      async () => {
        order.push(name);
        await gate.promise;
      },
      present,
      group,
    );
  const all = [
    ...["a1", "a2", "a3", "a4"].map((name) => enter(name, "a")),
    ...["b1", "b2"].map((name) => enter(name, "b")),
    enter("c1", "c"),
  ];
  gate.resolve();
  await Promise.all(all);
  assert.deepEqual(order, ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]);
});

Deno.test("FairQueue refuses the last work of the largest part, and none of a part with less than its share", async () => {
  const queue = new FairQueue({ maximumActive: 1, maximumWaiting: 4, full: "too many wait" });
  const gate = Promise.withResolvers<void>();
  const outcomes = new Map<string, string>();
  const enter = (name: string, group: string) =>
    queue.run(() => gate.promise, present, group)
      .then(() => outcomes.set(name, "served"), ({ code }) => outcomes.set(name, code));
  const all = ["a0", "a1", "a2", "a3", "a4"].map((name) => enter(name, "a"));
  all.push(enter("b1", "b"), enter("b2", "b"), enter("b3", "b"), enter("a5", "a"));
  gate.resolve();
  await Promise.all(all);
  const refused = [...outcomes].filter(([, outcome]) => outcome === "unavailable/busy").map(([name]) => name);
  assert.deepEqual(refused.toSorted(), ["a3", "a4", "a5", "b3"]);
});
