import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { Server } from "node:net";
import type { Clock } from "../platform/clock.ts";
import { systemClock } from "../platform/clock.ts";
import { watchListener } from "./_listener_watch.ts";

const PATIENCE_MS = 20_000;

/** A clock that runs two hundred times as fast, and reports when a given number of pauses is over. */
class FastClock {
  readonly #over = Promise.withResolvers<void>();
  #pauses = 0;
  readonly clock: Clock = {
    ...systemClock,
    sleep: async (ms, signal) => {
      await systemClock.sleep(ms / 200, signal);
      if (++this.#pauses === this.enough) this.#over.resolve();
    },
  };

  constructor(readonly enough: number) {}

  get over(): Promise<void> {
    return this.#over.promise;
  }
}

async function listening(host: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  server.listen(0, host);
  await once(server, "listening");
  return server;
}

for (const host of ["127.0.0.1", "0.0.0.0", "::"]) {
  Deno.test(`watchListener() connects itself when no peer does, and ends at the signal, on ${host}`, async () => {
    await using server = await listening(host);
    let accepted = 0;
    server.on("connection", () => accepted++);
    const stop = new AbortController();
    const time = new FastClock(12);
    const watching = watchListener(server, time.clock, stop.signal);
    await Promise.race([watching, time.over]);
    assert.ok(accepted >= 2, `${accepted}`);
    stop.abort();
    await watching;
  });
}

/**
 * A server whose address belongs to another listener. That listener counts the connections, so the server accepts none.
 */
function deafServer(): Disposable & { readonly server: Server; readonly port: number; knocks: number } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const server = createServer();
  server.address = () => ({ address: "127.0.0.1", family: "IPv4", port });
  const deaf = { server, port, knocks: 0, [Symbol.dispose]: () => listener.close() };
  (async () => {
    for await (const connection of listener) {
      deaf.knocks++;
      connection.close();
    }
  })();
  return deaf;
}

Deno.test("watchListener() does not connect itself while peers do", async () => {
  using deaf = deafServer();
  const stop = new AbortController();
  const time = new FastClock(12);
  const clock: Clock = {
    ...time.clock,
    async sleep(ms, signal) {
      await time.clock.sleep(ms, signal);
      deaf.server.emit("connection");
    },
  };
  const watching = watchListener(deaf.server, clock, stop.signal);
  await Promise.race([watching, time.over]);
  stop.abort();
  await watching;
  assert.equal(deaf.knocks, 0);
  assert.equal(deaf.server.listenerCount("connection"), 0);
});

Deno.test("watchListener() reports a dead listener, but not after its first unaccepted connection", async () => {
  using deaf = deafServer();
  const time = new FastClock(1_000);
  await assert.rejects(watchListener(deaf.server, time.clock, AbortSignal.timeout(PATIENCE_MS)), {
    code: "system/listen",
    message: `The listener at 127.0.0.1:${deaf.port} no longer accepts connections`,
  });
  assert.ok(deaf.knocks > 1, `${deaf.knocks}`);
});
