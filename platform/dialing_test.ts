import assert from "node:assert/strict";
import { connect } from "node:net";
import { join } from "node:path";
import * as fc from "fast-check";
import { systemClock } from "./clock.ts";
import { concat, copyOf, fromUtf8, utf8 } from "./bytes.ts";
import { readWhereLine, sayWhere, serveDials } from "./dialing.ts";
import { endpointText } from "./endpoint.ts";

/** A process that connects, and a server that says what it was sent, in upper case. */
class World implements AsyncDisposable {
  readonly #server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #stop = new AbortController();
  readonly path: string;
  readonly #serving: Promise<void>;
  readonly #shouting: Promise<void>;

  constructor(readonly folder: string) {
    this.path = join(folder, "dial.sock");
    this.#shouting = this.#shout();
    this.#serving = serveDials({ path: this.path, port: this.port, clock: systemClock }, this.#stop.signal);
  }

  get port(): number {
    return this.#server.addr.port;
  }

  async #shout(): Promise<void> {
    try {
      for await (const conn of this.#server) {
        const upper = new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>({
          transform: (chunk, controller) => controller.enqueue(utf8(fromUtf8(chunk, "chunk").toUpperCase())),
        });
        conn.readable.pipeThrough(upper).pipeTo(conn.writable).catch(() => {});
      }
    } catch {
      // The listener is closed.
    }
  }

  /** Sends bytes to the process, and returns the first that come back; nothing if it closes. */
  async ask(bytes: Uint8Array): Promise<string> {
    using conn = await Deno.connect({ transport: "unix", path: this.path });
    await conn.write(bytes);
    const buffer = new Uint8Array(100);
    const count = await conn.read(buffer).catch(() => null);
    return fromUtf8(buffer.subarray(0, count ?? 0), "answer");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#server.close();
    await Promise.all([this.#serving, this.#shouting]);
    await Deno.remove(this.folder, { recursive: true });
  }
}

async function newWorld(): Promise<World> {
  const world = new World(await Deno.makeTempDir());
  while (await Deno.stat(world.path).catch(() => undefined) === undefined) await new Promise((go) => setTimeout(go, 1));
  return world;
}

Deno.test("serveDials() connects to the address of the first line, and passes on what follows", async () => {
  await using world = await newWorld();
  const where = endpointText({ host: "127.0.0.1", port: world.port });
  assert.equal(await world.ask(utf8(`${where}\nhello`)), "HELLO");

  const socket = connect({ path: world.path });
  await sayWhere(socket, { host: "127.0.0.1", port: world.port });
  const answer = new Promise<string>((resolve) => socket.once("data", (data) => resolve(data.toString())));
  socket.write("again");
  assert.equal(await answer, "AGAIN");
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.destroy();
  await closed;
});

Deno.test("sayWhere() rejects, and ends no process, when the other end closes at once", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "closing.sock");
  const listener = Deno.listen({ transport: "unix", path });
  const closing = (async () => {
    for await (const conn of listener) conn.close();
  })().catch(() => {});
  for (let round = 0; round < 50; round++) {
    const socket = connect({ path });
    await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
    await sayWhere(socket, { host: "127.0.0.1", port: 1 }).catch(() => {});
    socket.write("more");
    socket.destroy();
    await assert.rejects(sayWhere(socket, { host: "127.0.0.1", port: 1 }));
  }
  listener.close();
  await closing;
  await Deno.remove(folder, { recursive: true });
});

Deno.test("serveDials() closes a connection that asks for anything else, and goes on", async () => {
  await using world = await newWorld();
  const { port } = world;
  for (
    const text of [
      `127.0.0.1:${port + 1}\nhello`,
      `localhost:${port}\nhello`,
      `127.0.0.1:${port}\r\nhello`,
      "\n",
      "x".repeat(65),
      `${"0".repeat(64)}127.0.0.1:${port}\n`,
    ]
  ) {
    assert.equal(await world.ask(utf8(text)), "", text);
  }
  assert.equal(await world.ask(utf8(`127.0.0.1:${port}\nhello`)), "HELLO");
});

Deno.test("readWhereLine() reads IP addresses with the one port, and nothing else", () => {
  assert.deepEqual(readWhereLine(utf8("10.0.0.1:2379"), 2379), { host: "10.0.0.1", port: 2379 });
  assert.deepEqual(readWhereLine(utf8("[fd00::1]:2379"), 2379), { host: "fd00::1", port: 2379 });
  const line = utf8("10.0.0.1:2379");
  for (let index = 0; index < line.length; index++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = copyOf(line);
      flipped[index] = (flipped[index] ?? 0) ^ 1 << bit;
      const read = readWhereLine(flipped, 2379);
      assert.ok(read === undefined || read.port === 2379);
    }
  }
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 80 }), (bytes) => {
    assert.equal(readWhereLine(concat(line, bytes), 2379), undefined);
  }));
  fc.assert(fc.property(fc.ipV4(), fc.ipV6(), fc.integer({ min: 0, max: 70_000 }), (v4, v6, port) => {
    for (const host of [v4, `[${v6}]`]) {
      assert.equal(readWhereLine(utf8(`${host}:${port}`), 2379) !== undefined, port === 2379);
      assert.ok(readWhereLine(utf8(`${host}:2379`), 2379) !== undefined, host);
    }
  }));
});
