/**
 * Collateral from an HTTPS server, such as a cache of the vendors' services in the operator's own network.
 *
 * The server is untrusted. It can withhold documents, but it cannot forge them: the verifiers check signatures and
 * dates.
 *
 * @module
 */
import { rootCertificates } from "node:tls";
import type { Bytes } from "../platform/bytes.ts";
import { concat } from "../platform/bytes.ts";
import { readPem } from "../certificate/pem.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { CollateralFile } from "./collateral.ts";
import { checkCollateralName, MAXIMUM_COLLATERAL_BYTES } from "./collateral.ts";
import type { CollateralMemory } from "./collateral_wanted.ts";

/** The options of {@linkcode collateralCache}. */
export interface CollateralCacheOptions {
  /** Measures the age of documents, and the deadline for an answer. */
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  /** One or more certificates of the server's CA, PEM. Default: the public CAs that Deno includes. */
  readonly caPem?: string;
  /** Answers requests in tests. Default: Deno's `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
}

/** Documents from a server. Disposing of the cache closes its connections. */
export interface CollateralCache extends CollateralMemory, Disposable {}

/** A running server answers within a second. Peers wait for the verdict in the meantime. */
const DEADLINE_MS = 5_000;
/** Vendors' documents are valid for weeks, but a new revocation list must be noticed within the hour. */
const KEPT_MS = 15 * 60_000;
/**
 * The limit on kept documents, each of at most 1 MiB. A fleet of one vendor needs about ten, and a certificate for each
 * machine.
 */
const MAXIMUM_KEPT = 64;
/** How long a missing or failed document is not requested again. Peers choose the names, and wait in the meantime. */
const MISSED_MS = 30_000;
/** The limit on remembered misses. A peer can easily name chips and platforms that do not exist. */
const MAXIMUM_MISSED = 1024;
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** A cached document. */
interface Kept {
  readonly file: CollateralFile;
  readonly untilMs: number;
}

/**
 * Creates a source that fetches documents from `URL/NAME`.
 *
 * @param url `https://…`, without user, password, query and fragment.
 * @returns The source. Its `find` returns `undefined` only for status 404. For any other failure it throws
 *   `unavailable/collateral` with the address and the reason: other statuses, redirects, more than 1 MiB, no answer in
 *   5 s.
 * @throws {BootstrapError} `usage/collateral-url` for another URL, `usage/collateral-ca` for unusable certificates.
 */
export function collateralCache(url: string, options: CollateralCacheOptions): CollateralCache {
  const place = checkUrl(url);
  const { clock, fetch: ask = globalThis.fetch } = options;
  // The program's own store of CAs is empty.
  const client = options.caPem === undefined
    ? Deno.createHttpClient({ caCerts: [...rootCertificates] })
    : clientFor(options.caPem);
  const kept = new Map<string, Kept>();
  const missed = new Map<string, { readonly error?: BootstrapError; readonly untilMs: number }>();
  const underWay = new Map<string, Promise<CollateralFile | undefined>>();

  async function get(name: string): Promise<CollateralFile | undefined> {
    const miss = (error?: BootstrapError) => {
      for (const [oldest] of missed) if (missed.size >= MAXIMUM_MISSED) missed.delete(oldest);
      const untilMs = clock.monotonicMs() + MISSED_MS;
      missed.set(name, error === undefined ? { untilMs } : { error, untilMs });
    };
    const file = await fetchDocument(`${place}/${name}`, ask, client, clock).catch((error) => {
      const failure = asBootstrapError(error);
      miss(failure);
      throw failure;
    });
    if (file === undefined) {
      miss();
      return undefined;
    }
    missed.delete(name);
    for (const [other, { untilMs }] of kept) if (untilMs <= clock.monotonicMs()) kept.delete(other);
    // The oldest document is dropped first.
    for (const [oldest] of kept) if (kept.size >= MAXIMUM_KEPT) kept.delete(oldest);
    kept.set(name, { file, untilMs: clock.monotonicMs() + KEPT_MS });
    return file;
  }

  function recall(name: string): { readonly file: CollateralFile | undefined } | undefined {
    const found = kept.get(name);
    if (found !== undefined && clock.monotonicMs() < found.untilMs) return { file: copyOf(found.file) };
    const miss = missed.get(name);
    if (miss === undefined || clock.monotonicMs() >= miss.untilMs) return undefined;
    if (miss.error !== undefined) throw miss.error;
    return { file: undefined };
  }

  return {
    place,
    recall,
    async find(name) {
      checkCollateralName(name);
      const known = recall(name);
      if (known !== undefined) return known.file;
      let request = underWay.get(name);
      if (request === undefined) {
        request = get(name).finally(() => underWay.delete(name));
        underWay.set(name, request);
      }
      const got = await request;
      return got && copyOf(got);
    },
    [Symbol.dispose]: () => client.close(),
  };
}

/** Callers get copies, so that no caller can change the bytes of another. */
function copyOf({ bytes, source }: CollateralFile): CollateralFile {
  return { bytes: bytes.slice(), source };
}

function checkUrl(url: string): string {
  const parsed = URL.parse(url);
  const wrong = (reason: string) =>
    new BootstrapError("usage/collateral-url", `Cannot use the address of a collateral cache: ${reason}`, {
      next: "Write it as https://HOST/PATH",
    });
  if (parsed === null) throw wrong("it is not a URL");
  // No message quotes the address, because it may contain a password.
  if (parsed.protocol !== "https:") throw wrong(`it is ${parsed.protocol.slice(0, -1)}, not https`);
  if (parsed.username !== "" || parsed.password !== "") throw wrong("it names a user or a password");
  if (parsed.search !== "" || parsed.hash !== "" || /[?#]/.test(url)) throw wrong("it has a query or a fragment");
  return parsed.href.replace(/\/+$/, "");
}

/** Certificates are checked here, because Deno skips unreadable ones and would refuse every server later. */
function clientFor(caPem: string): Deno.HttpClient {
  try {
    const blocks = caPem.match(PEM_CERTIFICATE) ?? [];
    if (blocks.length === 0) throw new Error("there is no certificate");
    for (const block of blocks) readPem(`${block}\n`, "CERTIFICATE", "CA certificate");
    return Deno.createHttpClient({ caCerts: blocks });
  } catch (cause) {
    throw new BootstrapError("usage/collateral-ca", "Cannot use the CA certificates for the collateral cache", {
      cause,
    });
  }
}

async function fetchDocument(
  address: string,
  ask: typeof globalThis.fetch,
  client: Deno.HttpClient,
  clock: Pick<Clock, "sleep">,
): Promise<CollateralFile | undefined> {
  const [deadline, over] = [new AbortController(), new AbortController()];
  clock.sleep(DEADLINE_MS, over.signal).then(() => deadline.abort(), () => {});
  try {
    const request: RequestInit & { readonly client: Deno.HttpClient } = {
      // Redirects are not followed; the status check below refuses them.
      redirect: "manual",
      credentials: "omit",
      signal: deadline.signal,
      client,
    };
    const response = await ask(address, request);
    if (response.status === 200) return { bytes: await readBody(response, address), source: address };
    await response.body?.cancel();
    if (response.status === 404) return undefined;
    throw unavailable(address, `it was answered with ${response.status}`);
  } catch (cause) {
    if (cause instanceof BootstrapError) throw cause;
    const reason = deadline.signal.aborted
      ? `there was no answer within ${DEADLINE_MS / 1000} s`
      : cause instanceof Error
      ? cause.message
      : String(cause);
    throw unavailable(address, reason, cause);
  } finally {
    over.abort();
  }
}

async function readBody(response: Response, address: string): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop ends the transfer.
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAXIMUM_COLLATERAL_BYTES) {
      throw unavailable(address, `it is larger than ${MAXIMUM_COLLATERAL_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return concat(...chunks);
}

function unavailable(address: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("unavailable/collateral", `Cannot get ${address}: ${reason}`, {
    next: "Check the collateral cache, or put the document into a collateral folder",
    details: { address },
    ...(cause === undefined ? {} : { cause }),
  });
}
