/**
 * Errands: documents that the front fetches from HTTPS servers for the process behind it, which reaches no network.
 *
 * The process behind names the URL and verifies what comes. It never takes a part of a URL from a peer unchecked. The
 * front bounds the size and the time.
 *
 * @module
 */
import { utf8 } from "../platform/bytes.ts";
import type { Bytes } from "../platform/bytes.ts";
import { concat, fromUtf8 } from "../platform/bytes.ts";
import { onAbort } from "../platform/abortable.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { retry } from "../platform/retry.ts";
import { FrameConnection } from "./frame_connection.ts";
import { connectRelay } from "./relay_front.ts";
import type { BackFrame, FrontFrame } from "./relay_frames.ts";
import { BACK_FRAMES, FRONT_FRAMES } from "./relay_frames.ts";

/** How long the front may take for a document, milliseconds. */
export const ERRAND_DEADLINE_MS = 8_000;
/** How long a server may take for a document, milliseconds. */
const FETCH_DEADLINE_MS = 6_000;
/** How many documents are fetched at once. */
const MOST_ERRANDS = 64;
/** The longest reason of a failure, bytes. */
const MAXIMUM_REASON_BYTES = 256;
/** The smallest and the largest status of HTTP that has a body. */
const [FIRST_STATUS, LAST_STATUS] = [200, 599];
const WITHOUT_BODY: readonly number[] = [204, 205, 304];

interface Waiting {
  readonly resolve: (response: Response) => void;
  readonly reject: (error: unknown) => void;
}

/** The end behind the front: asks for documents. */
export class Errands {
  /** The largest document, bytes. */
  readonly maximumDocumentBytes: number;
  readonly #waiting = new Map<number, Waiting>();
  #connection: FrameConnection<FrontFrame, BackFrame> | undefined;
  #last = 0;

  /** Starts without a front. */
  constructor(maximumDocumentBytes: number) {
    this.maximumDocumentBytes = maximumDocumentBytes;
  }

  /** Uses a front's connection until it ends. A newer one replaces it. */
  async serve(connection: FrameConnection<FrontFrame, BackFrame>): Promise<void> {
    this.#connection?.[Symbol.dispose]();
    this.#fail("another front has come");
    this.#connection = connection;
    try {
      for (let frame = await connection.next(); frame !== undefined; frame = await connection.next()) {
        if (frame.kind !== "document") {
          throw new BootstrapError("malformed/relay-frame", `The front sent the frame "${frame.kind}" for an errand`);
        }
        const { number, status, body } = frame;
        const waiting = this.#waiting.get(number);
        this.#waiting.delete(number);
        if (status === 0) waiting?.reject(failed(reasonOf(body)));
        else waiting?.resolve(responseOf(status, body));
      }
    } finally {
      if (this.#connection === connection) {
        this.#connection = undefined;
        this.#fail("the front is gone");
      }
    }
  }

  /**
   * Asks the front for a document, and returns what `fetch` would return. Like `fetch`, it throws a `TypeError` if there
   * is no answer.
   */
  readonly fetch: (url: string | URL | Request, init?: RequestInit) => Promise<Response> = async (url, init) => {
    const connection = this.#connection;
    if (connection === undefined) throw failed("there is no front that fetches");
    if (this.#waiting.size >= MOST_ERRANDS) throw failed("too many documents are being fetched");
    const number = this.#last = (this.#last + 1) % 2 ** 32;
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    this.#waiting.set(number, { resolve, reject });
    const timer = setTimeout(() => reject(failed("the front did not answer in time")), ERRAND_DEADLINE_MS);
    using _stopping = onAbort(init?.signal ?? undefined, () => reject(failed("it took too long")));
    try {
      connection.write({ kind: "fetch", number, url: String(url) }).catch(reject);
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(number);
    }
  };

  #fail(reason: string): void {
    for (const { reject } of this.#waiting.values()) reject(failed(reason));
    this.#waiting.clear();
  }
}

/** Returns what a server answered. */
function responseOf(status: number, body: Bytes): Response {
  if (status < FIRST_STATUS || status > LAST_STATUS) return new Response(null, { status: LAST_STATUS });
  return new Response(WITHOUT_BODY.includes(status) ? null : body, { status });
}

/** Reads a reason of the front. It is shown to people, so that control characters go. */
function reasonOf(body: Uint8Array): string {
  try {
    return fromUtf8(body.subarray(0, MAXIMUM_REASON_BYTES), "reason").replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ");
  } catch {
    return "the front gave no readable reason";
  }
}

/** The error by which `fetch` says that there was no answer. */
function failed(reason: string): TypeError {
  return new TypeError(`the front could not fetch it: ${reason}`);
}

/** The options of {@linkcode runErrands}. */
export interface ErrandRunnerOptions {
  /** The socket of the process behind. */
  readonly path: string;
  /** The largest document, bytes. */
  readonly maximumDocumentBytes: number;
  readonly clock: Pick<Clock, "sleep">;
  readonly log: Log;
  /** Answers requests in tests. Default: Deno's `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
}

/** The front's end: fetches documents until the signal. Whenever the process behind goes, it waits for the next one. */
export async function runErrands(options: ErrandRunnerOptions, signal: AbortSignal): Promise<void> {
  const { path, clock, log, maximumDocumentBytes: document } = options;
  await retry(async (startOver) => {
    const conn = await connectRelay(path);
    using connection = new FrameConnection<BackFrame, FrontFrame>({
      ...{ conn, incoming: BACK_FRAMES, outgoing: FRONT_FRAMES, limits: { message: 0, document } },
    });
    using _stopping = onAbort(signal, () => connection[Symbol.dispose]());
    await connection.write({ kind: "errands" });
    await serveErrands(connection, options, startOver);
    throw new BootstrapError("unavailable/relay", "The other end of a front's socket is gone");
  }, {
    ...{ clock, signal, random: Math.random },
    onFailedTry: ({ error }) => log.event("debug", "errands-interrupted", errorFields(error)),
  }).catch((error) => {
    if (!signal.aborted) throw error;
  });
}

async function serveErrands(
  connection: FrameConnection<BackFrame, FrontFrame>,
  options: ErrandRunnerOptions,
  startOver: () => void,
): Promise<void> {
  let underWay = 0;
  for (let frame = await connection.next(); frame !== undefined; frame = await connection.next()) {
    startOver();
    if (frame.kind !== "fetch") {
      throw new BootstrapError("malformed/relay-frame", `An errand is no frame "${frame.kind}"`);
    }
    const { number, url } = frame;
    const answer = (status: number, body: Bytes) =>
      connection.write({ kind: "document", number, status, body }).catch(() => {});
    if (underWay >= MOST_ERRANDS) {
      await answer(0, utf8("too many documents are being fetched"));
      continue;
    }
    underWay++;
    fetchDocument(url, options).then(
      ({ status, body }) => answer(status, body),
      (error) => answer(0, utf8(error instanceof Error ? error.message : String(error)).slice(0, MAXIMUM_REASON_BYTES)),
    ).finally(() => underWay--);
  }
}

async function fetchDocument(
  address: string,
  { maximumDocumentBytes, clock, fetch: ask = globalThis.fetch }: ErrandRunnerOptions,
): Promise<{ readonly status: number; readonly body: Bytes }> {
  const url = URL.parse(address);
  if (
    url?.protocol !== "https:" || url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== ""
  ) {
    throw new Error("it is not the URL of a document");
  }
  const [deadline, over] = [new AbortController(), new AbortController()];
  clock.sleep(FETCH_DEADLINE_MS, over.signal).then(() => deadline.abort(), () => {});
  try {
    const response = await ask(url, { redirect: "manual", credentials: "omit", signal: deadline.signal });
    const chunks: Uint8Array[] = [];
    let length = 0;
    // Leaving the loop ends the transfer.
    for await (const chunk of response.body ?? []) {
      length += chunk.length;
      if (length > maximumDocumentBytes) throw new Error(`it is larger than ${maximumDocumentBytes} bytes`);
      chunks.push(chunk);
    }
    return { status: response.status, body: concat(...chunks) };
  } catch (error) {
    throw deadline.signal.aborted ? new Error(`there was no answer within ${FETCH_DEADLINE_MS / 1000} s`) : error;
  } finally {
    over.abort();
  }
}
