import assert from "node:assert/strict";
import type { Answer } from "../certificate/testing/document_server.ts";
import { DocumentServer } from "../certificate/testing/document_server.ts";
import { utf8 } from "../platform/bytes.ts";
import { systemClock } from "../platform/clock.ts";
import type { Clock } from "../platform/clock.ts";
import type { DocumentClient } from "../platform/fetch_document.ts";
import { documentClient } from "../platform/fetch_document.ts";
import { MAXIMUM_COLLATERAL_BYTES } from "./collateral.ts";
import { collateralCache } from "./collateral_cache.ts";
import type { CollateralMemory } from "./collateral_wanted.ts";

const MIB = 1 << 20;

/** A TLS server with its own CA, a client that believes it, and a clock that stands still. */
class World implements AsyncDisposable {
  nowMs = 0;
  readonly clock = { monotonicMs: () => this.nowMs };
  readonly #clients: DocumentClient[] = [];

  private constructor(readonly server: DocumentServer) {}

  static async start(answer: Answer): Promise<World> {
    return new World(await DocumentServer.start(answer));
  }

  get url(): string {
    return `${this.server.origin}/cache`;
  }

  get asked(): readonly string[] {
    return this.server.asked;
  }

  /** Opens a cache of documents. Its client believes the server's CA, or the given ones; `undefined`: the public ones. */
  cache(
    { url = this.url, clock = systemClock, ...rest }: {
      readonly url?: string;
      readonly clock?: Pick<Clock, "sleep">;
      readonly caCertificates?: readonly string[] | undefined;
    } = {},
  ): CollateralMemory {
    const { caCertificates } = { caCertificates: [this.server.caPem], ...rest };
    const maximumBytes = MAXIMUM_COLLATERAL_BYTES;
    const client = documentClient({
      ...{ maximumBytes, clock },
      ...(caCertificates === undefined ? {} : { caCertificates }),
    });
    this.#clients.push(client);
    return collateralCache(url, { clock: this.clock, fetch: client.fetch });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

const notFound = () => new Response("no", { status: 404 });
const unavailable = { code: "unavailable/collateral", retriable: true };

Deno.test("collateralCache() gives the document at the name below its address", async () => {
  await using world = await World.start((path) => path === "/cache/a.json" ? new Response("a document") : notFound());
  for (const url of [world.url, `${world.url}/`]) {
    const cache = world.cache({ url });
    assert.equal(cache.place, world.url);
    assert.deepEqual(await cache.find("a.json"), { bytes: utf8("a document"), source: `${world.url}/a.json` });
    assert.equal(await cache.find("b.crl"), undefined);
  }
});

Deno.test("collateralCache() reads revocation lists in hexadecimal, and names the address of a text that is none", async () => {
  const list = `3081c8${"00".repeat(200)}`;
  await using world = await World.start((path) => new Response(path.endsWith("a.crl") ? list : "<html>"));
  const cache = world.cache();
  assert.deepEqual((await cache.find("a.crl"))?.bytes, Uint8Array.fromHex(list));
  await assert.rejects(cache.find("b.crl"), {
    code: "malformed/document-form",
    message: `Cannot read ${world.url}/b.crl as a revocation list: it is a text that begins with "<html>"`,
  });
});

Deno.test("collateralCache() refuses names that lead elsewhere, before it asks", async () => {
  await using world = await World.start(notFound);
  const cache = world.cache();
  for (const name of ["", "..", "a/b", "a?b", "a%2fb", "A"]) {
    await assert.rejects(cache.find(name), { code: "internal/collateral" });
  }
  assert.deepEqual(world.asked, []);
});

Deno.test("collateralCache() accepts only https addresses without user, password, query and fragment", () => {
  const refused = [
    ...["", "cache", "http://cache", "http://127.0.0.1:80/", "http://localhost/", "file:///etc", "https://"],
    ...[
      "https://user@cache/",
      "https://user:secret@cache/",
      "https://cache/?a=b",
      "https://cache/?",
      "https://cache/#a",
    ],
  ];
  for (const url of refused) {
    assert.throws(
      () => collateralCache(url, { clock: systemClock, fetch: () => assert.fail() }),
      (error: { code?: string; message?: string }) =>
        error.code === "usage/collateral-url" && !error.message?.includes("secret"),
      url,
    );
  }
});

Deno.test("collateralCache() reports failures, and never takes them for a missing document", async () => {
  const answers: Readonly<Record<string, () => Response>> = {
    "500": () => new Response("broken", { status: 500 }),
    "403": () => new Response("no", { status: 403 }),
    "204": () => new Response(null, { status: 204 }),
    "302": () => new Response(null, { status: 302, headers: { location: "/cache/good" } }),
    "301": () => new Response(null, { status: 301, headers: { location: "https://example.com/" } }),
  };
  await using world = await World.start((path) => answers[path.slice("/cache/".length)]?.() ?? new Response("good"));
  const cache = world.cache();
  for (const status of Object.keys(answers)) {
    const message = `Cannot get ${world.url}/${status}: it was answered with ${status}`;
    await assert.rejects(cache.find(status), { ...unavailable, message });
  }
  assert.deepEqual(world.asked.map((path) => path.split("/").at(-1)).sort(), Object.keys(answers).sort());
});

Deno.test("collateralCache() refuses a server with another CA or another name", async () => {
  await using world = await World.start(() => new Response("a document"));
  await using other = await World.start(() => new Response("a document"));
  for (const caCertificates of [[other.server.caPem], undefined]) {
    const cache = world.cache({ caCertificates });
    await assert.rejects(cache.find("a"), { ...unavailable, message: /certificate/i });
  }
  const byAddress = world.cache({ url: world.url.replace("localhost", "127.0.0.1") });
  await assert.rejects(byAddress.find("a"), unavailable);
  const both = world.cache({ caCertificates: [other.server.caPem, world.server.caPem] });
  assert.notEqual(await both.find("a"), undefined);
});

Deno.test("collateralCache() reports a refused connection", async () => {
  const world = await World.start(notFound);
  const cache = world.cache();
  await world[Symbol.asyncDispose]();
  await assert.rejects(cache.find("a"), unavailable);
});

Deno.test("collateralCache() accepts 1 MiB and not a byte more, however the server sends it", async () => {
  const cancelled = Promise.withResolvers<void>();
  const endless = () =>
    new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(MIB / 4)),
      cancel: () => cancelled.resolve(),
    });
  const answers: Readonly<Record<string, () => Response>> = {
    "exact": () => new Response(new Uint8Array(MIB)),
    "more": () => new Response(new Uint8Array(MIB + 1)),
    "endless": () => new Response(endless()),
  };
  await using world = await World.start((path) => answers[path.slice("/cache/".length)]?.() ?? notFound());
  const cache = world.cache();
  assert.equal((await cache.find("exact"))?.bytes.length, MIB);
  for (const name of ["more", "endless"]) {
    await assert.rejects(cache.find(name), { ...unavailable, message: /larger than 1048576 bytes/ });
  }
  await cancelled.promise;
});

Deno.test("collateralCache() gives up after five seconds, before the answer and in the middle of it", async () => {
  const over = Promise.withResolvers<Response>();
  const half = () => new Response(new ReadableStream({ start: (controller) => controller.enqueue(utf8("half")) }));
  await using world = await World.start((path) => path.endsWith("half") ? half() : over.promise);
  for (const name of ["nothing", "half"]) {
    const waited: number[] = [];
    const clock = {
      // The clock advances only after the server has received the request.
      async sleep(ms: number, signal?: AbortSignal) {
        waited.push(ms);
        while (!world.asked.includes(`/cache/${name}`)) await systemClock.sleep(1, signal);
      },
    };
    const cache = world.cache({ clock });
    await assert.rejects(cache.find(name), { ...unavailable, message: /no answer within 5 s/ });
    assert.deepEqual(waited, [5_000]);
  }
  over.resolve(notFound());
});

Deno.test("collateralCache() keeps documents for a quarter of an hour, and failures and absences for half a minute", async () => {
  let answer: Answer = () => new Response("one");
  await using world = await World.start((path, query) => answer(path, query));
  const cache = world.cache();
  const text = async () => new TextDecoder().decode((await cache.find("a"))?.bytes);
  assert.equal(await text(), "one");
  answer = () => new Response("two");
  world.nowMs = 15 * 60_000 - 1;
  const file = await cache.find("a");
  file?.bytes.fill(0);
  assert.equal(await text(), "one", "a caller changed the cached document");
  world.nowMs = 15 * 60_000;
  assert.equal(await text(), "two");
  for (const bad of [notFound, () => new Response("", { status: 500 })]) {
    answer = bad;
    world.nowMs += 15 * 60_000;
    const { length } = world.asked;
    const first = await cache.find("a").catch((error) => error);
    const second = await cache.find("a").catch((error) => error);
    assert.deepEqual([second, world.asked.length], [first, length + 1]);
    world.nowMs += 30_000;
    await cache.find("a").catch(() => {});
    assert.equal(world.asked.length, length + 2);
  }
});

Deno.test("collateralCache() keeps a bounded number of documents, and drops the oldest", async () => {
  await using world = await World.start(() => new Response("a document"));
  const cache = world.cache();
  for (let index = 0; index < 65; index++) await cache.find(`a${index}`);
  assert.equal(world.asked.length, 65);
  await cache.find("a1");
  await cache.find("a64");
  assert.equal(world.asked.length, 65);
  await cache.find("a0");
  assert.equal(world.asked.length, 66);
});

Deno.test("collateralCache() shares one request among simultaneous callers, and asks again a while after a failure", async () => {
  let status = 500;
  await using world = await World.start(() => new Response("a document", { status }));
  const cache = world.cache();
  const all = () => Promise.allSettled(Array.from({ length: 10 }, () => cache.find("a")));
  assert.ok((await all()).every((result) => result.status === "rejected"));
  assert.equal(world.asked.length, 1);
  status = 200;
  world.nowMs += 30_000;
  assert.ok((await all()).every((result) => result.status === "fulfilled"));
  assert.equal(world.asked.length, 2);
});

Deno.test("documentClient() asks services with a query, and gives the headers of their answers", async () => {
  await using server = await DocumentServer.start((path, query) =>
    new Response(path + query, { headers: { "Issuer-Chain": "a%20chain" } })
  );
  using client = documentClient({ maximumBytes: 99, clock: systemClock, caCertificates: [server.caPem] });
  const { status, body, header } = await client.ask(`${server.origin}/a?b=c&d`);
  assert.deepEqual([status, new TextDecoder().decode(body)], [200, "/a?b=c&d"]);
  assert.deepEqual([header("issuer-chain"), header("none")], ["a%20chain", undefined]);
  for (const url of ["http://127.0.0.1/a?b", "https://a:b@127.0.0.1/?b", "https://127.0.0.1/a#b?c"]) {
    await assert.rejects(client.ask(url), url);
  }
});
