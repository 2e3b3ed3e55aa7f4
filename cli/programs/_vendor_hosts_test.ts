import assert from "node:assert/strict";
import { systemClock } from "../../platform/clock.ts";
import { REACH_DEADLINE_MS } from "../../platform/reach.ts";
import { unreachable } from "./_vendor_hosts.ts";

const requestsTo = (
  port: number,
) => [{ name: "a.crl", url: `https://localhost:${port}/a`, fetch: () => assert.fail() }];

/** Finds a port where nothing listens, and calls `onPause` at each pause between two tries. */
async function reachWhile(onPause: (port: number) => void) {
  const listener = Deno.listen({ hostname: "localhost", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const sleep = (ms: number, signal?: AbortSignal) =>
    ms === REACH_DEADLINE_MS ? systemClock.sleep(ms, signal) : Promise.resolve(onPause(port));
  return await unreachable(requestsTo(port), { ...systemClock, sleep });
}

Deno.test("unreachable() finds no host that is there at the second try", async () => {
  let later: Deno.Listener | undefined;
  assert.equal((await reachWhile((port) => later ??= Deno.listen({ hostname: "localhost", port }))).size, 0);
  later?.close();
});

Deno.test("unreachable() names a host that is not there after four tries, with the reason", async () => {
  let pauses = 0;
  const [[host, error] = []] = [...await reachWhile(() => pauses++)];
  assert.equal(pauses, 3);
  assert.match(error?.message ?? "", /^Cannot reach localhost:\d+: Connection refused/);
  assert.ok(error?.message.includes(`${host}`));
});
