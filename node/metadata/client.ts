/**
 * Asks a metadata service over HTTP. It is untrusted: sizes and times are bounded, no redirect is followed.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { concat, fromUtf8 } from "../../platform/bytes.ts";
import type { Clock } from "../../platform/clock.ts";
import { withDeadline } from "../../platform/deadline.ts";
import { BootstrapError } from "../../platform/errors.ts";

/** The address of metadata services (RFC 3927, link-local). Only the machine's own host answers there. */
export const METADATA_BASE = "http://169.254.169.254";
/** How long a service may take for an answer, milliseconds. */
export const METADATA_DEADLINE_MS = 5_000;
/** The largest answer, bytes. */
export const MAXIMUM_ANSWER_BYTES: number = 256 << 10;

/** What a client works with. */
export interface MetadataClientOptions {
  readonly clock: Pick<Clock, "sleep">;
  /** Ends the questions. */
  readonly signal?: AbortSignal;
  /** Default: {@linkcode METADATA_BASE}. Only tests have another. */
  readonly base?: string;
  /** Default: {@linkcode METADATA_DEADLINE_MS}. */
  readonly deadlineMs?: number;
}

/** A question. */
export interface MetadataRequest {
  readonly method?: "GET" | "PUT";
  readonly headers?: Readonly<Record<string, string>>;
}

/** Asks one service. Disposing of it closes its connections. */
export class MetadataClient implements Disposable {
  readonly #options: MetadataClientOptions;
  readonly #client = Deno.createHttpClient({ poolMaxIdlePerHost: 1 });

  /** Asks nothing yet. The process uses no proxy: see `closeProcessNetwork()`. */
  constructor(options: MetadataClientOptions) {
    this.#options = options;
  }

  /** The address of a path, for people. */
  url(path: string): string {
    return `${this.#options.base ?? METADATA_BASE}${path}`;
  }

  /**
   * Asks for a text.
   *
   * @returns `undefined` if the service says that there is none (404).
   * @throws {BootstrapError} `unavailable/metadata` if there is no answer, or one that is no success;
   *   `malformed/metadata` if the answer is too large or not UTF-8.
   */
  async ask(path: string, { method = "GET", headers = {} }: MetadataRequest = {}): Promise<string | undefined> {
    const { clock, signal, deadlineMs = METADATA_DEADLINE_MS } = this.#options;
    const url = this.url(path);
    const late = () => unavailable(url, `there was no answer within ${deadlineMs / 1000} s`);
    return await withDeadline(clock, deadlineMs, late, async (end) => {
      const request: RequestInit & { readonly client: Deno.HttpClient } = {
        ...{ method, headers, redirect: "manual", credentials: "omit", signal: end, client: this.#client },
      };
      const response = await fetch(url, request).catch((cause) => {
        throw unavailable(url, "it does not answer", cause);
      });
      if (response.status === 200) {
        const body = await readBody(response, url);
        try {
          return fromUtf8(body, url);
        } catch (cause) {
          throw malformedMetadata(url, "it is no text in UTF-8", cause);
        }
      }
      await response.body?.cancel();
      if (response.status === 404) return undefined;
      const isRedirect = response.status >= 300 && response.status < 400;
      throw unavailable(url, `it answers ${response.status}${isRedirect ? ", and no redirect is followed" : ""}`);
    }, signal);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

async function readBody(response: Response, url: string): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    // Leaving the loop ends the transfer.
    for await (const chunk of response.body ?? []) {
      length += chunk.length;
      if (length > MAXIMUM_ANSWER_BYTES) {
        throw malformedMetadata(url, `it is larger than ${MAXIMUM_ANSWER_BYTES} bytes`);
      }
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof BootstrapError ? error : unavailable(url, "its answer breaks off", error);
  }
  return concat(...chunks);
}

/** The error that a source does not answer. */
export function unavailable(where: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("unavailable/metadata", `Cannot get the machine's metadata from ${where}: ${reason}`, {
    cause,
    details: { from: where },
  });
}

/** The error that what a source answers cannot be read. */
export function malformedMetadata(where: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/metadata", `Cannot read the machine's metadata from ${where}: ${reason}`, {
    cause,
    details: { from: where },
  });
}
