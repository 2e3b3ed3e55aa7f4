import assert from "node:assert/strict";
import fc from "fast-check";
import type { Clock } from "../platform/clock.ts";
import { systemClock } from "../platform/clock.ts";
import { knockIntervalMs, waitForListener } from "./_knock.ts";

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;

Deno.test("knockIntervalMs() notices a start within 1.3 s, however long a node has waited", () => {
  fc.assert(
    fc.property(fc.nat(1000 * HOUR_MS), fc.double({ min: 0, max: 1, noNaN: true }), (waitedMs, random) => {
      const intervalMs = knockIntervalMs(waitedMs, random);
      assert.ok(intervalMs >= 200 && intervalMs <= 1.3 * SECOND_MS, String(intervalMs));
    }),
  );
});

/** Time passes a hundred times as fast between the knocks. */
function fastClock(): Clock & { readonly passedMs: () => number } {
  let passedMs = 0;
  return {
    ...systemClock,
    passedMs: () => passedMs,
    monotonicMs: () => passedMs,
    async sleep(ms, signal) {
      await systemClock.sleep(ms / 100, signal);
      passedMs += ms;
    },
  };
}

Deno.test("waitForListener() knocks at a closed port at a steady pace, and says so once", async () => {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = probe.addr;
  probe.close();
  const clock = fastClock();
  const errors: string[] = [];
  const waiting = waitForListener({ host: "127.0.0.1", port }, {
    clock,
    signal: new AbortController().signal,
    onFailure: (error) => errors.push(error.code) && assert.match(String(error.cause), /refused/),
  });
  while (clock.passedMs() < 120 * SECOND_MS) await systemClock.sleep(5);
  using listener = Deno.listen({ hostname: "127.0.0.1", port });
  const openedMs = clock.passedMs();
  await waiting;
  assert.deepEqual(errors, ["unavailable/connection"]);
  assert.ok(clock.passedMs() - openedMs < 5 * SECOND_MS, `${clock.passedMs() - openedMs}`);
  assert.equal(listener.addr.port, port);
});

Deno.test("waitForListener() asks for a name ever more rarely, and knocks at each of its addresses", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const clock = fastClock();
  const askedMs: number[] = [];
  const errors: string[] = [];
  const waiting = waitForListener({ host: "services.example", port }, {
    clock,
    signal: new AbortController().signal,
    onFailure: ({ code }) => errors.push(code),
    resolve: (host) => {
      assert.equal(host, "services.example");
      askedMs.push(clock.passedMs());
      if (askedMs.length < 3) return Promise.reject(new Error("no such name"));
      return Promise.resolve(["127.0.0.2", "127.0.0.1"]);
    },
  });
  while (clock.passedMs() < 300 * SECOND_MS) await systemClock.sleep(5);
  using again = Deno.listen({ hostname: "127.0.0.1", port });
  await waiting;
  const gaps = askedMs.slice(1).map((ms, index) => ms - (askedMs[index] ?? 0));
  assert.ok(gaps.length >= 3 && gaps.length < 100, `${gaps.length} questions`);
  assert.ok((gaps.at(-1) ?? 0) > 5 * SECOND_MS, `${gaps.at(-1)}`);
  assert.deepEqual(errors, ["unavailable/name-resolution"]);
  assert.equal(again.addr.port, port);
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
