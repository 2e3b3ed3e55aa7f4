/**
 * Documents from HTTPS servers. The servers are untrusted: size and time are bounded, and no redirect is followed.
 *
 * @module
 */
import type { Bytes } from "./bytes.ts";
import { concat } from "./bytes.ts";
import type { Clock } from "./clock.ts";
import { withDeadline } from "./deadline.ts";
import { publicCas } from "./public_cas.ts";

/** What a server answered. */
export interface FetchedDocument {
  /** The HTTP status. */
  readonly status: number;
  /** The document if the status is 200; otherwise nothing. */
  readonly body: Bytes;
}

/** What a service answered. */
export interface AnsweredRequest extends FetchedDocument {
  /** Returns a header of the answer. */
  readonly header: (name: string) => string | undefined;
}

/**
 * Asks for a document.
 *
 * @param url An address that {@linkcode documentUrlProblem} has nothing against.
 * @throws An `Error` whose message is the reason why there is no answer.
 */
export type FetchDocument = (url: string) => Promise<FetchedDocument>;

/** The options of {@linkcode documentClient}. */
export interface DocumentClientOptions {
  /** The largest document, bytes. */
  readonly maximumBytes: number;
  readonly clock: Pick<Clock, "sleep">;
  /** The CAs of the servers, PEM. Default: the public CAs that Deno includes. */
  readonly caCertificates?: readonly string[];
  /** How long a server may take. Default: {@linkcode FETCH_DEADLINE_MS}. */
  readonly deadlineMs?: number;
}

/** Fetches documents. Disposing of it closes its connections. */
export interface DocumentClient extends Disposable {
  readonly fetch: FetchDocument;
  /**
   * Asks a service for a document.
   *
   * @param url An address that {@linkcode documentUrlProblem} has nothing against, and a query.
   * @throws An `Error` whose message is the reason why there is no answer.
   */
  readonly ask: (url: string) => Promise<AnsweredRequest>;
}

/** How long a server may take for a document, milliseconds. A running one needs a second, and peers wait meanwhile. */
export const FETCH_DEADLINE_MS = 5_000;

/** Creates a client. It believes its own CAs, because the program's own store of CAs is empty. */
export function documentClient(options: DocumentClientOptions): DocumentClient {
  const { maximumBytes, clock, caCertificates = publicCas(), deadlineMs = FETCH_DEADLINE_MS } = options;
  const client = Deno.createHttpClient({ caCerts: [...caCertificates] });
  const late = () => new Error(`there was no answer within ${deadlineMs / 1000} s`);

  async function ask(url: string, problem: string | undefined): Promise<AnsweredRequest> {
    if (problem !== undefined) throw new Error(problem);
    return await withDeadline(clock, deadlineMs, late, async (signal) => {
      const request: RequestInit & { readonly client: Deno.HttpClient } = {
        ...{ redirect: "manual", credentials: "omit", signal, client },
      };
      const response = await fetch(url, request).catch((cause) => {
        // The cause says no more than its reason.
        throw new Error(reasonOf(cause, url));
      });
      const { status, headers } = response;
      const header = (name: string) => headers.get(name) ?? undefined;
      if (status === 200) return { status, body: await readBody(response, maximumBytes), header };
      await response.body?.cancel();
      return { status, body: new Uint8Array(), header };
    });
  }

  return {
    async fetch(url) {
      const { status, body } = await ask(url, documentUrlProblem(url));
      return { status, body };
    },
    ask: (url) => ask(url, documentUrlProblem(url.split("?", 1)[0] ?? "")),
    [Symbol.dispose]: () => client.close(),
  };
}

/**
 * Says why a text is not the address of a document, if it is not: `https://…`, without user, password, query and
 * fragment. No reason quotes the address, because it may contain a password.
 */
export function documentUrlProblem(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null) return "it is not a URL";
  if (url.protocol !== "https:") return `it is ${url.protocol.slice(0, -1)}, not https`;
  if (url.username !== "" || url.password !== "") return "it names a user or a password";
  if (/[?#]/.test(text)) return "it has a query or a fragment";
  return undefined;
}

/** Deno says "fetch failed", and why in the cause, with the address, which the caller names. */
function reasonOf(error: unknown, url: string): string {
  if (!(error instanceof Error)) return String(error);
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message.replace(`error sending request for url (${url}): `, "").replace(/^client error \(\w+\): /, "");
}

async function readBody(response: Response, maximumBytes: number): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop ends the transfer.
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > maximumBytes) throw new Error(`it is larger than ${maximumBytes} bytes`);
    chunks.push(chunk);
  }
  return concat(...chunks);
}
