import assert from "node:assert/strict";
import { join } from "node:path";
import { abortable } from "../platform/abortable.ts";
import { type Clock, systemClock } from "../platform/clock.ts";
import type { FetchDocument, FetchedDocument } from "../platform/fetch_document.ts";
import { silentLog } from "../platform/log.ts";
import { JoinServiceService } from "../proto/gen/bootstrapper.ts";
import { Errands, runErrands } from "./errands.ts";
import { openRelaySocket, serveRelayed } from "./relay_server.ts";
import { FrontProcess } from "./testing/front_process.ts";

const MOST = 1000;
const URL_OF_DOCUMENT = "https://cache.example/amd-milan-vcek.crl";

/** A process that sends errands. */
async function openErrands(clock: Pick<Clock, "sleep"> = systemClock) {
  const folder = await Deno.makeTempDir({ prefix: "errands-" });
  const path = join(folder, "s.sock");
  const errands = new Errands(MOST, clock);
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

/** Runs a front. */
function runFront(path: string, fetch: FetchDocument) {
  const stop = new AbortController();
  const asked: string[] = [];
  const running = runErrands({
    ...{ path, maximumDocumentBytes: MOST, clock: systemClock, log: silentLog },
    fetch: async (url) => {
      asked.push(url);
      return await fetch(url);
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
async function fetchOnce(errands: Errands, url = URL_OF_DOCUMENT): Promise<FetchedDocument> {
  for (;;) {
    try {
      return await errands.fetch(url);
    } catch (error) {
      if (!String(error).includes("there is no front")) throw error;
      await systemClock.sleep(5);
    }
  }
}

Deno.test("the front passes on the status and the bytes of a document, or why there is none", async () => {
  await using behind = await openErrands();
  await using front = runFront(behind.path, (url) => {
    if (url.endsWith("none")) return Promise.reject(new Error("it is larger than 1000 bytes"));
    return Promise.resolve({ status: 404, body: Uint8Array.of(1, 2) });
  });
  assert.deepEqual(await fetchOnce(behind.errands), { status: 404, body: Uint8Array.of(1, 2) });
  const none = "https://cache.example/none";
  await assert.rejects(behind.errands.fetch(none), /the front could not fetch it: it is larger than 1000 bytes/);
  assert.deepEqual(front.asked, [URL_OF_DOCUMENT, none]);
});

Deno.test("a front that does not answer and a front that goes end an errand", async () => {
  const over = Promise.withResolvers<void>();
  const waited: number[] = [];
  const sleep = (ms: number, signal = new AbortController().signal) => {
    waited.push(ms);
    return abortable(over.promise, signal);
  };
  await using behind = await openErrands({ sleep });
  {
    await using front = runFront(behind.path, () => new Promise(() => {}));
    const first = fetchOnce(behind.errands);
    while (front.asked.length === 0) await systemClock.sleep(5);
    queueMicrotask(() => front[Symbol.asyncDispose]());
    await assert.rejects(first, /the front is gone/);
  }
  await assert.rejects(behind.errands.fetch(URL_OF_DOCUMENT), /there is no front/);
  await using front = runFront(behind.path, () => new Promise(() => {}));
  const second = fetchOnce(behind.errands);
  while (front.asked.length === 0) await systemClock.sleep(5);
  over.resolve();
  await assert.rejects(second, /the front did not answer within 6 s/);
  assert.equal(waited.at(-1), 6_000);
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
  assert.deepEqual(await first, { status: 65_535, body: Uint8Array.of(1) });
  const second = behind.errands.fetch(URL_OF_DOCUMENT);
  const { number: next = 0 } = await front.frame("fetch") ?? {};
  const reason = new TextEncoder().encode("a\u001b[31mred");
  await front.connection.write({ kind: "document", number: next, status: 0, body: reason });
  await assert.rejects(second, /could not fetch it: a \[31mred/);
});
