import assert from "node:assert/strict";
import { mintCertificate } from "../certificate/_mint.ts";
import type { CertificateAuthority } from "../certificate/ca.ts";
import { createCertificateAuthority } from "../certificate/ca.ts";
import { EXT_KEY_USAGE } from "../certificate/extensions.ts";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { ATTRIBUTE } from "../certificate/name.ts";
import { writePem } from "../certificate/pem.ts";
import { utf8 } from "../platform/bytes.ts";
import { systemClock } from "../platform/clock.ts";
import { type CollateralCache, collateralCache } from "./collateral_cache.ts";

const DAY_MS = 24 * 3600 * 1000;
const MIB = 1 << 20;

type Answer = (path: string) => Response | Promise<Response>;

/** A TLS server with its own CA, and a clock that stands still. */
class World implements AsyncDisposable {
  readonly asked: string[] = [];
  nowMs = 0;
  readonly clock = { monotonicMs: () => this.nowMs, sleep: systemClock.sleep };

  private constructor(readonly caPem: string, readonly server: Deno.HttpServer<Deno.NetAddr>) {}

  static async start(answer: Answer): Promise<World> {
    const ca = await createCertificateAuthority(new Date());
    const { certificatePem, keyPem } = await serverCertificate(ca);
    const caPem = writePem("CERTIFICATE", ca.certificate.der);
    const listen = { hostname: "localhost", port: 0, cert: certificatePem, key: keyPem, onListen() {} };
    const server = Deno.serve(listen, (request) => {
      const path = new URL(request.url).pathname;
      world.asked.push(path);
      return answer(path);
    });
    const world: World = new World(caPem, server);
    return world;
  }

  get url(): string {
    return `https://localhost:${this.server.addr.port}/cache`;
  }

  cache(): CollateralCache {
    return collateralCache(this.url, { clock: this.clock, caPem: this.caPem });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.shutdown();
  }
}

async function serverCertificate(ca: CertificateAuthority) {
  const keys = await generateKeyPair("p-256");
  const certificate = await mintCertificate({
    subject: [{ oid: ATTRIBUTE.commonName, value: "cache" }],
    spki: keys.spki,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    isCa: false,
    keyUsage: ["digitalSignature"],
    extKeyUsage: [EXT_KEY_USAGE.serverAuth],
    dnsNames: ["localhost"],
  }, ca);
  return { certificatePem: writePem("CERTIFICATE", certificate.der), keyPem: await privateKeyPem(keys) };
}

const notFound = () => new Response("no", { status: 404 });
const unavailable = { code: "unavailable/collateral", retriable: true };

Deno.test("collateralCache() gives the document at the name below its address", async () => {
  await using world = await World.start((path) => path === "/cache/a.crl" ? new Response("a document") : notFound());
  for (const url of [world.url, `${world.url}/`]) {
    using cache = collateralCache(url, { clock: world.clock, caPem: world.caPem });
    assert.equal(cache.place, world.url);
    assert.deepEqual(await cache.find("a.crl"), { bytes: utf8("a document"), source: `${world.url}/a.crl` });
    assert.equal(await cache.find("b.crl"), undefined);
  }
});

Deno.test("collateralCache() refuses names that lead elsewhere, before it asks", async () => {
  await using world = await World.start(notFound);
  using cache = world.cache();
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
      () => collateralCache(url, { clock: systemClock }),
      (error: { code?: string; message?: string }) =>
        error.code === "usage/collateral-url" && !error.message?.includes("secret"),
      url,
    );
  }
});

Deno.test("collateralCache() accepts several CA certificates, and refuses text that is no certificate", async () => {
  await using world = await World.start(() => new Response("a document"));
  await using other = await World.start(notFound);
  using cache = collateralCache(world.url, { clock: world.clock, caPem: `Ours:\n${other.caPem}\n${world.caPem}` });
  assert.notEqual(await cache.find("a"), undefined);
  const torn = world.caPem.replace(/\n.{30}/, "\n");
  for (const caPem of ["", "no certificate", torn, `${world.caPem}${torn}`]) {
    assert.throws(() => collateralCache(world.url, { clock: world.clock, caPem }), { code: "usage/collateral-ca" });
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
  using cache = world.cache();
  for (const status of Object.keys(answers)) {
    const message = `Cannot get ${world.url}/${status}: it was answered with ${status}`;
    await assert.rejects(cache.find(status), { ...unavailable, message });
  }
  assert.deepEqual(world.asked.map((path) => path.split("/").at(-1)).sort(), Object.keys(answers).sort());
});

Deno.test("collateralCache() refuses a server with another CA or another name", async () => {
  await using world = await World.start(() => new Response("a document"));
  await using other = await World.start(() => new Response("a document"));
  const foreign = { clock: world.clock, caPem: other.caPem };
  for (const options of [foreign, { clock: world.clock }]) {
    using cache = collateralCache(world.url, options);
    await assert.rejects(cache.find("a"), unavailable);
  }
  using byAddress = collateralCache(world.url.replace("localhost", "127.0.0.1"), {
    ...{ clock: world.clock, caPem: world.caPem },
  });
  await assert.rejects(byAddress.find("a"), unavailable);
  assert.deepEqual(world.asked, []);
});

Deno.test("collateralCache() reports a refused connection", async () => {
  const world = await World.start(notFound);
  using cache = world.cache();
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
  using cache = world.cache();
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
      monotonicMs: () => 0,
      // The clock advances only after the server has received the request.
      async sleep(ms: number, signal?: AbortSignal) {
        waited.push(ms);
        while (!world.asked.includes(`/cache/${name}`)) await systemClock.sleep(1, signal);
      },
    };
    using cache = collateralCache(world.url, { clock, caPem: world.caPem });
    await assert.rejects(cache.find(name), { ...unavailable, message: /no answer within 5 s/ });
    assert.deepEqual(waited, [5_000]);
  }
  over.resolve(notFound());
});

Deno.test("collateralCache() keeps documents for a quarter of an hour, and failures and absences for half a minute", async () => {
  let answer: Answer = () => new Response("one");
  await using world = await World.start((path) => answer(path));
  using cache = world.cache();
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
  using cache = world.cache();
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
  using cache = world.cache();
  const all = () => Promise.allSettled(Array.from({ length: 10 }, () => cache.find("a")));
  assert.ok((await all()).every((result) => result.status === "rejected"));
  assert.equal(world.asked.length, 1);
  status = 200;
  world.nowMs += 30_000;
  assert.ok((await all()).every((result) => result.status === "fulfilled"));
  assert.equal(world.asked.length, 2);
});
