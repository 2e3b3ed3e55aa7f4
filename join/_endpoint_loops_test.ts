import assert from "node:assert/strict";
import { untilAborted } from "../platform/abortable.ts";
import type { EndpointLoop } from "./_endpoint_loops.ts";
import { EndpointLoops, MAXIMUM_ENDPOINTS } from "./_endpoint_loops.ts";

const at = (...lasts: readonly number[]) => lasts.map((last) => ({ host: `10.0.0.${last}`, port: 9444 }));

/** Loops that wait until their endpoint is left, and then for an attempt that is under way. */
class Waiting {
  readonly begun: string[] = [];
  readonly ended: string[] = [];
  readonly attempts = new Map<string, Promise<void>>();
  readonly loops = new EndpointLoops({ monotonicMs: () => 0 }, async (loop: EndpointLoop) => {
    this.begun.push(loop.where);
    for (;;) {
      await untilAborted(loop.left).catch(() => {});
      await this.attempts.get(loop.where);
      if (loop.left.aborted) break;
    }
    this.ended.push(loop.where);
  });
}

Deno.test("EndpointLoops begins a loop for each endpoint, and ends those of endpoints that have gone", async () => {
  const waiting = new Waiting();
  waiting.loops.ask(at(1, 2));
  waiting.loops.ask(at(2, 3));
  await waiting.loops.end();
  assert.deepEqual(waiting.begun, ["10.0.0.1:9444", "10.0.0.2:9444", "10.0.0.3:9444"]);
  assert.deepEqual(waiting.ended.sort(), waiting.begun);
});

Deno.test("EndpointLoops goes on with a loop whose endpoint comes back during an attempt", async () => {
  const waiting = new Waiting();
  const attempt = Promise.withResolvers<void>();
  waiting.attempts.set("10.0.0.1:9444", attempt.promise);
  waiting.loops.ask(at(1));
  waiting.loops.ask([]);
  await Promise.resolve();
  waiting.loops.ask(at(1));
  attempt.resolve();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual([waiting.begun.length, waiting.ended.length], [1, 0]);
  await waiting.loops.end();
  assert.equal(waiting.ended.length, 1);
});

Deno.test("EndpointLoops remembers what it met at an endpoint that goes and comes again", async () => {
  const seen: (string | undefined)[] = [];
  const loops = new EndpointLoops({ monotonicMs: () => 0 }, async (loop) => {
    seen.push(loop.last?.code);
    loop.last = { setback: "refused", code: "unavailable/busy", count: 1 };
    await untilAborted(loop.left).catch(() => {});
  });
  loops.ask(at(1));
  loops.ask([]);
  await loops.end();
  loops.ask(at(1));
  await loops.end();
  assert.deepEqual(seen, [undefined, "unavailable/busy"]);
});

Deno.test("EndpointLoops asks at most 64 endpoints at once, the first, and counts those with a listener", async () => {
  const begun: string[] = [];
  const loops = new EndpointLoops({ monotonicMs: () => 0 }, async (loop) => {
    begun.push(loop.where);
    loop.listens = begun.length % 2 === 0;
    await untilAborted(loop.left).catch(() => {});
  });
  loops.ask(at(...Array(100).keys()));
  assert.equal(begun.length, MAXIMUM_ENDPOINTS);
  assert.equal(begun.at(-1), "10.0.0.63:9444");
  assert.equal(loops.listening, MAXIMUM_ENDPOINTS / 2);
  await loops.end();
  assert.equal(loops.listening, 0);
});
