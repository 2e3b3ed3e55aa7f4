/**
 * Errands: documents that the front fetches from HTTPS servers for the process behind it, which reaches no network.
 *
 * The process behind names the URL and verifies what comes. It never takes a part of a URL from a peer unchecked. The
 * front bounds the size and the time.
 *
 * @module
 */
import { abortable, onAbort } from "../platform/abortable.ts";
import type { Bytes } from "../platform/bytes.ts";
import { fromUtf8, utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { withDeadline } from "../platform/deadline.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { FetchDocument, FetchedDocument } from "../platform/fetch_document.ts";
import { FETCH_DEADLINE_MS } from "../platform/fetch_document.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { retry } from "../platform/retry.ts";
import { FrameConnection } from "./frame_connection.ts";
import { connectRelay } from "./relay_front.ts";
import type { BackFrame, FrontFrame } from "./relay_frames.ts";
import { BACK_FRAMES, FRONT_FRAMES } from "./relay_frames.ts";

/** How long the front may take for an errand, milliseconds: a server's time, and some for the way. */
const ERRAND_DEADLINE_MS = FETCH_DEADLINE_MS + 1_000;
/** How many documents are fetched at once. */
const MOST_ERRANDS = 64;
/** The longest reason of a failure, bytes. */
const MAXIMUM_REASON_BYTES = 256;

interface Waiting {
  readonly resolve: (document: FetchedDocument) => void;
  readonly reject: (error: unknown) => void;
}

/** The end behind the front: asks for documents. */
export class Errands {
  /** The largest document, bytes. */
  readonly maximumDocumentBytes: number;
  readonly #clock: Pick<Clock, "sleep">;
  readonly #waiting = new Map<number, Waiting>();
  #connection: FrameConnection<FrontFrame, BackFrame> | undefined;
  #last = 0;

  /** Starts without a front. */
  constructor(maximumDocumentBytes: number, clock: Pick<Clock, "sleep">) {
    this.maximumDocumentBytes = maximumDocumentBytes;
    this.#clock = clock;
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
        else waiting?.resolve({ status, body });
      }
    } finally {
      if (this.#connection === connection) {
        this.#connection = undefined;
        this.#fail("the front is gone");
      }
    }
  }

  /** Asks the front for a document. Its status and its bytes are hearsay. */
  readonly fetch: FetchDocument = async (url) => {
    const connection = this.#connection;
    if (connection === undefined) throw failed("there is no front that fetches");
    if (this.#waiting.size >= MOST_ERRANDS) throw failed("too many documents are being fetched");
    const number = this.#last = (this.#last + 1) % 2 ** 32;
    const { promise, resolve, reject } = Promise.withResolvers<FetchedDocument>();
    this.#waiting.set(number, { resolve, reject });
    const late = () => failed(`the front did not answer within ${ERRAND_DEADLINE_MS / 1000} s`);
    try {
      return await withDeadline(this.#clock, ERRAND_DEADLINE_MS, late, async (signal) => {
        connection.write({ kind: "fetch", number, url }).catch(reject);
        return await abortable(promise, signal);
      });
    } finally {
      this.#waiting.delete(number);
    }
  };

  #fail(reason: string): void {
    for (const { reject } of this.#waiting.values()) reject(failed(reason));
    this.#waiting.clear();
  }
}

/** Reads a reason of the front. It is shown to people, so that control characters go. */
function reasonOf(body: Uint8Array): string {
  try {
    return fromUtf8(body.subarray(0, MAXIMUM_REASON_BYTES), "reason").replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ");
  } catch {
    return "the front gave no readable reason";
  }
}

/** The error that says why there was no answer. */
function failed(reason: string): Error {
  return new Error(`the front could not fetch it: ${reason}`);
}

/** The options of {@linkcode runErrands}. */
export interface ErrandRunnerOptions {
  /** The socket of the process behind. */
  readonly path: string;
  /** The largest document, bytes. */
  readonly maximumDocumentBytes: number;
  readonly clock: Pick<Clock, "sleep">;
  readonly log: Log;
  /** Fetches a document, in bounded time. */
  readonly fetch: FetchDocument;
}

/** The front's end: fetches documents until the signal. Whenever the process behind goes, it waits for the next one. */
export async function runErrands(options: ErrandRunnerOptions, signal: AbortSignal): Promise<void> {
  const { path, clock, log, maximumDocumentBytes: document } = options;
  await retry(async (startOver) => {
    const conn = await connectRelay(path, clock);
    using connection = new FrameConnection<BackFrame, FrontFrame>({
      ...{ conn, incoming: BACK_FRAMES, outgoing: FRONT_FRAMES, limits: { message: 0, document } },
    });
    using _stopping = onAbort(signal, () => connection[Symbol.dispose]());
    await connection.write({ kind: "errands" });
    await serveErrands(connection, options.fetch, startOver);
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
  fetch: FetchDocument,
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
    fetch(url).then(
      ({ status, body }) => answer(status, body),
      (error) => answer(0, utf8(error instanceof Error ? error.message : String(error)).slice(0, MAXIMUM_REASON_BYTES)),
    ).finally(() => underWay--);
  }
}
