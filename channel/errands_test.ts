import assert from "node:assert/strict";
import { join } from "node:path";
import { systemClock } from "../platform/clock.ts";
import { silentLog } from "../platform/log.ts";
import { JoinServiceService } from "../proto/gen/bootstrapper.ts";
import { Errands, runErrands } from "./errands.ts";
import { openRelaySocket, serveRelayed } from "./relay_server.ts";
import { FrontProcess } from "./testing/front_process.ts";

const MOST = 1000;
const URL_OF_DOCUMENT = "https://cache.example/amd-milan-vcek.crl";

/** A process that sends errands. */
async function openErrands() {
  const folder = await Deno.makeTempDir({ prefix: "errands-" });
  const path = join(folder, "s.sock");
  const errands = new Errands(MOST);
  const server = serveRelayed({
    listener: await openRelaySocket(path),
    method: JoinServiceService.join,
    serviceNumber: 1,
    ...{ maximumExchanges: 1, maximumMessageLength: 10, maximumBytes: 1 << 20, exchangeDeadlineMs: 1000 },
    ...{ clock: systemClock, log: silentLog, errands },
    handle: () => Promise.resolve(),
  });
  return {
    errands,
    path,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Runs a front whose servers answer with `answer`. */
function runFront(path: string, answer: (url: string) => Response | Promise<Response>) {
  const stop = new AbortController();
  const asked: string[] = [];
  const running = runErrands({
    ...{ path, maximumDocumentBytes: MOST, clock: systemClock, log: silentLog },
    fetch: async (url) => {
      asked.push(String(url));
      return await answer(String(url));
    },
  }, stop.signal);
  return {
    asked,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

/** Asks until the front has come. */
async function fetchOnce(errands: Errands, url = URL_OF_DOCUMENT): Promise<Response> {
  for (;;) {
    try {
      return await errands.fetch(url);
    } catch (error) {
      if (!String(error).includes("there is no front")) throw error;
      await systemClock.sleep(5);
    }
  }
}

Deno.test("the front fetches a document, and passes on its status and its bytes", async () => {
  await using behind = await openErrands();
  await using front = runFront(behind.path, (url) => new Response(url, { status: url.endsWith("crl") ? 200 : 404 }));
  const found = await fetchOnce(behind.errands);
  assert.deepEqual([found.status, await found.text()], [200, URL_OF_DOCUMENT]);
  assert.equal((await behind.errands.fetch("https://cache.example/none")).status, 404);
  assert.deepEqual(front.asked, [URL_OF_DOCUMENT, "https://cache.example/none"]);
});

Deno.test("the front bounds a document, and asks only for documents over HTTPS", async () => {
  await using behind = await openErrands();
  await using front = runFront(behind.path, () => new Response(new Uint8Array(MOST + 1)));
  await assert.rejects(fetchOnce(behind.errands), /larger than 1000 bytes/);
  for (
    const url of ["http://cache.example/a", "https://a:b@cache.example/a", "https://cache.example/a?b", "file:///a"]
  ) {
    await assert.rejects(behind.errands.fetch(url), /not the URL of a document/, url);
  }
  assert.equal(front.asked.length, 1);
});

Deno.test("a server that does not answer, a stopped caller and a front that goes end an errand", async () => {
  await using behind = await openErrands();
  const stop = new AbortController();
  {
    await using front = runFront(behind.path, () => new Promise(() => {}));
    const first = fetchOnce(behind.errands);
    while (front.asked.length === 0) await systemClock.sleep(5);
    const stopped = behind.errands.fetch(URL_OF_DOCUMENT, { signal: stop.signal });
    stop.abort();
    await assert.rejects(stopped, /too long/);
    queueMicrotask(() => front[Symbol.asyncDispose]());
    await assert.rejects(first, /the front is gone/);
  }
  await assert.rejects(behind.errands.fetch(URL_OF_DOCUMENT), /there is no front/);
});

Deno.test("a hostile front's answers are answers to nothing, or are only documents to verify", async () => {
  await using behind = await openErrands();
  using front = await FrontProcess.connect(behind.path);
  await front.connection.write({ kind: "errands" });
  await front.connection.write({ kind: "document", number: 77, status: 200, body: Uint8Array.of(1) });
  const first = fetchOnce(behind.errands);
  const asked = await front.frame("fetch");
  assert.equal(asked?.url, URL_OF_DOCUMENT);
  const { number = 0 } = asked ?? {};
  await front.connection.write({ kind: "document", number, status: 65_535, body: Uint8Array.of(1) });
  assert.equal((await first).status, 599);
  const second = behind.errands.fetch(URL_OF_DOCUMENT);
  const { number: next = 0 } = await front.frame("fetch") ?? {};
  const reason = new TextEncoder().encode("a\u001b[31mred");
  await front.connection.write({ kind: "document", number: next, status: 0, body: reason });
  await assert.rejects(second, /could not fetch it: a \[31mred/);
});
