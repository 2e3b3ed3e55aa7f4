import assert from "node:assert/strict";
import fc from "fast-check";
import type { Clock } from "../platform/clock.ts";
import { systemClock } from "../platform/clock.ts";
import { knockIntervalMs, waitForListener } from "./_knock.ts";

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;

Deno.test("knockIntervalMs() notices a start within 1.5 s in the first half minute, and within a tenth of the wait later", () => {
  fc.assert(
    fc.property(fc.nat(1000 * HOUR_MS), fc.double({ min: 0, max: 1, noNaN: true }), (waitedMs, random) => {
      const intervalMs = knockIntervalMs(waitedMs, random);
      assert.ok(intervalMs >= 200 && intervalMs <= 100 * SECOND_MS, String(intervalMs));
      if (waitedMs <= 20 * SECOND_MS) assert.ok(intervalMs <= 1.5 * SECOND_MS);
      else assert.ok(intervalMs <= waitedMs / 10);
    }),
  );
});

Deno.test("knockIntervalMs() lets 1,000 nodes that have waited for half an hour make fewer than 50 connections a second", () => {
  let [knocks, random] = [0, 0.5];
  const [nodes, services, seconds] = [1_000, 3, 600];
  for (let node = 0; node < nodes * services; node++) {
    // A linear congruential generator: the same numbers in each run.
    const next = () => random = (random * 9301 + 0.211327) % 1;
    for (let nowMs = 1_800_000 + next() * 75_000; nowMs < 1_800_000 + seconds * SECOND_MS; knocks++) {
      nowMs += knockIntervalMs(nowMs, next());
    }
  }
  assert.ok(knocks / seconds < 50, `${knocks / seconds} a second`);
});

Deno.test("waitForListener() knocks at a closed port ever more rarely, and returns soon after it opens", async () => {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = probe.addr;
  probe.close();
  // Time passes a thousand times as fast between the knocks.
  let passedMs = 0;
  const sleeps: number[] = [];
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => passedMs,
    async sleep(ms, signal) {
      sleeps.push(ms);
      passedMs += ms;
      await systemClock.sleep(Math.min(ms / 1000, 20), signal);
    },
  };
  const errors: string[] = [];
  const waiting = waitForListener({ host: "127.0.0.1", port }, {
    clock,
    signal: new AbortController().signal,
    onFailure: ({ code }) => errors.push(code),
  });
  while (passedMs < HOUR_MS) await systemClock.sleep(5);
  using listener = Deno.listen({ hostname: "127.0.0.1", port });
  await waiting;
  assert.deepEqual(errors, ["unavailable/connection"]);
  assert.ok((sleeps[0] ?? 0) <= 400);
  assert.ok(sleeps.filter((ms) => ms > 50 * SECOND_MS).length > 20);
  assert.ok(sleeps.length < 250, String(sleeps.length));
  assert.equal(listener.addr.port, port);
});

Deno.test("waitForListener() says that a name is unknown", async () => {
  const over = new AbortController();
  const failure = Promise.withResolvers<string>();
  const waiting = waitForListener({ host: "service.invalid", port: 9444 }, {
    ...{ clock: systemClock, signal: over.signal },
    onFailure: ({ code }) => failure.resolve(code),
  });
  assert.equal(await failure.promise, "unavailable/name-resolution");
  over.abort();
  await assert.rejects(waiting);
});
