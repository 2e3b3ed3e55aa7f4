/**
 * A client of the Kubernetes API with the few verbs that this project needs. It checks JSON against a schema, and its
 * errors have stable codes.
 *
 * @module
 */
import * as v from "valibot";
import { tlsRefusal } from "../certificate/tls_refusal.ts";
import { SECOND_MS } from "../platform/duration.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readJson } from "../platform/json.ts";
import { present } from "../platform/present.ts";
import { statusError } from "./_api_status.ts";
import type { ForbiddenPatience } from "./forbidden_patience.ts";

/** The API server to call, and the caller's credentials. */
export interface ApiCredentials {
  /** `https://host:port`. */
  readonly server: string;
  /** The cluster's CA certificate, PEM. Deno's store of public CAs is empty (`closeProcessNetwork()`). */
  readonly caPem: string;
  /** The caller's certificate, PEM. */
  readonly certificatePem: string;
  /** The caller's private key, PEM. */
  readonly keyPem: string;
}

/** The options of the client. */
export interface ApiOptions {
  /** The time limit of each call, milliseconds. Then it fails with `timeout/kubernetes-api`. Default: 30 s. */
  readonly deadlineMs?: number;
  /** Ends calls under way and later calls with its reason. */
  readonly signal?: AbortSignal;
  /** Makes 403 retriable for minutes. Default: it is never retriable. */
  readonly patience?: ForbiddenPatience;
}

/** The version of an object that may be deleted. The server answers with a conflict if the object has another one. */
export interface DeletePreconditions {
  /** `metadata.uid`. */
  readonly uid?: string;
  /** `metadata.resourceVersion`. */
  readonly resourceVersion?: string;
}

/** The expected form of an answer. A valibot schema is one (Standard Schema, version 1). */
export interface AnswerSchema<T> {
  /** The standard's part of a schema. */
  readonly "~standard": {
    /** Returns the value, or the issues. */
    readonly validate: (value: unknown) => SchemaResult<T> | Promise<SchemaResult<T>>;
  };
}

/** The result of validating a value (Standard Schema, version 1). */
export type SchemaResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] };

/** The owner of the fields of a server-side apply. */
export interface FieldManager {
  readonly name: string;
  /** Whether it takes fields that have another owner. Otherwise these are a conflict. */
  readonly force: boolean;
}

/** An answer of the API server, and to what. */
interface Answer {
  readonly method: string;
  readonly path: string;
  /** Both, for errors. */
  readonly what: string;
  readonly status: number;
  readonly text: string;
}

const MAXIMUM_ANSWER_BYTES = 8 << 20;
const FORBIDDEN = 403;
const NOT_FOUND = 404;
const DEFAULT_DEADLINE_MS = 30_000;
/** An answer with the object's metadata alone, where nothing of it is read. */
const METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const OWN_FIELDS: FieldManager = { name: "bootstrapper", force: true };

/**
 * A connection to the API server. All methods throw {@linkcode BootstrapError}:
 *
 * | code | when |
 * |---|---|
 * | `unavailable/kubernetes-api` | no answer, 408, 429, 5xx: retriable |
 * | `unavailable/kubernetes-authorizer` | 500 of an authorizer, as the cut list answers: retriable |
 * | `timeout/kubernetes-api` | no answer in time: retriable; a change may have happened |
 * | `unavailable/kubernetes-api-tls` | the server's certificate is refused, or it does not speak TLS: retriable |
 * | `unauthorized/kubernetes-api` | 401, 403 |
 * | `unavailable/kubernetes-rights` | 403 of the first minutes, with `patience`: retriable |
 * | `precondition/not-found` | 404 |
 * | `conflict/already-exists`, `conflict/changed` | 409, by its reason |
 * | `malformed/kubernetes-api` | 400, 422, and answers that do not match the schema |
 *
 * After the signal aborts, they throw the signal's reason; a change may have happened.
 */
export class KubernetesApi implements Disposable {
  readonly #server: URL;
  readonly #caPem: string;
  readonly #client: Deno.HttpClient;
  readonly #deadlineMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #patience: ForbiddenPatience | undefined;
  #serverTimeMs: number | undefined;

  /**
   * Sends nothing yet.
   *
   * @throws {BootstrapError} `usage/kubernetes-credentials` if the server is not an https URL or a PEM is unusable.
   */
  constructor(credentials: ApiCredentials, options: ApiOptions = {}) {
    const url = URL.parse(credentials.server);
    if (url?.protocol !== "https:") {
      throw new BootstrapError(
        "usage/kubernetes-credentials",
        `"${credentials.server}" is not an https URL of an API server`,
      );
    }
    this.#server = new URL(url.origin);
    this.#caPem = credentials.caPem;
    this.#deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
    this.#signal = options.signal;
    this.#patience = options.patience;
    try {
      this.#client = Deno.createHttpClient({
        caCerts: [credentials.caPem],
        cert: credentials.certificatePem,
        key: credentials.keyPem,
      });
    } catch (cause) {
      throw new BootstrapError("usage/kubernetes-credentials", "Cannot use the credentials for the Kubernetes API", {
        cause,
      });
    }
  }

  /** The API server's time in its last answer, milliseconds since 1970, in whole seconds. */
  get serverTimeMs(): number | undefined {
    return this.#serverTimeMs;
  }

  /** Returns the object or list at a path, or `undefined` if there is none. */
  async find<T>(path: string, schema: AnswerSchema<T>): Promise<T | undefined> {
    const answer = await this.#send("GET", path);
    // Often there is none: no error is made of it.
    return answer.status === NOT_FOUND ? undefined : await this.#read(answer, schema);
  }

  /** Returns the object or list at a path. */
  get<T>(path: string, schema: AnswerSchema<T>): Promise<T> {
    return this.#call("GET", path, schema);
  }

  /** Creates an object in the collection at a path. Returns the stored object. */
  create<T>(path: string, object: unknown, schema: AnswerSchema<T>): Promise<T> {
    return this.#call("POST", path, schema, object, "application/json");
  }

  /** Replaces the object at a path. With `metadata.resourceVersion`, it replaces only that version. */
  replace<T>(path: string, object: unknown, schema: AnswerSchema<T>): Promise<T> {
    return this.#call("PUT", path, schema, object, "application/json");
  }

  /** Merges fields into the object at a path (RFC 7386). */
  merge<T>(path: string, fields: unknown, schema: AnswerSchema<T>): Promise<T> {
    return this.#call("PATCH", path, schema, fields, "application/merge-patch+json");
  }

  /**
   * Creates the object at a path or makes its fields the given ones (server-side apply).
   *
   * @param manager The owner of the fields. Default: this program, which takes them from other owners.
   */
  async apply(path: string, object: unknown, { name, force }: FieldManager = OWN_FIELDS): Promise<void> {
    const query = `?fieldManager=${name}&force=${force}`;
    this.#check(await this.#send("PATCH", path + query, object, "application/apply-patch+yaml", METADATA));
  }

  /**
   * Deletes the object at a path. Returns `false` if there was none.
   *
   * @param gracePeriodSeconds How long a Pod may take to end; 0 deletes the object without waiting for its node.
   */
  async remove(
    path: string,
    preconditions: DeletePreconditions = {},
    gracePeriodSeconds?: number,
  ): Promise<boolean> {
    const grace = present("gracePeriodSeconds", gracePeriodSeconds);
    const options = { apiVersion: "v1", kind: "DeleteOptions", preconditions, ...grace };
    try {
      this.#check(await this.#send("DELETE", path, options, "application/json"));
      return true;
    } catch (error) {
      if (error instanceof BootstrapError && error.code === "precondition/not-found") return false;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  async #call<T>(
    method: string,
    path: string,
    schema: AnswerSchema<T>,
    body?: unknown,
    contentType?: string,
  ): Promise<T> {
    return await this.#read(await this.#send(method, path, body, contentType), schema);
  }

  async #send(
    method: string,
    path: string,
    body?: unknown,
    contentType?: string,
    accept = "application/json",
  ): Promise<Answer> {
    const what = `${method} ${path}`;
    // A signal of `AbortSignal.timeout()` would stay, with all that it holds, for the whole time after an early answer.
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), this.#deadlineMs);
    const signal = this.#signal === undefined ? deadline.signal : AbortSignal.any([deadline.signal, this.#signal]);
    try {
      const request: RequestInit & { readonly client: Deno.HttpClient } = {
        method,
        client: this.#client,
        redirect: "manual",
        signal,
        headers: { accept, ...present("content-type", contentType) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      };
      const response = await fetch(this.#server.origin + path, request);
      this.#serverTimeMs = timeOf(response.headers.get("date"));
      return { method, path, what, status: response.status, text: await readText(response, what) };
    } catch (cause) {
      if (cause instanceof BootstrapError) throw cause;
      this.#signal?.throwIfAborted();
      if (deadline.signal.aborted) {
        const message = `${what} got no answer within ${this.#deadlineMs / SECOND_MS} s`;
        throw new BootstrapError("timeout/kubernetes-api", message, { cause });
      }
      throw await this.#unreachable(what, cause);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Throws if the answer is a refusal. */
  #check({ method, path, what, status, text }: Answer): void {
    if (status < 200 || status > 299) {
      const error = statusError(what, status, text);
      throw status === FORBIDDEN && this.#patience !== undefined ? this.#patience.refused(method, path, error) : error;
    }
    this.#patience?.allowed(method, path);
  }

  async #read<T>(answer: Answer, schema: AnswerSchema<T>): Promise<T> {
    this.#check(answer);
    const { what, text } = answer;
    const result = await schema["~standard"].validate(parseAnswer(text, what));
    if (result.issues === undefined) return result.value;
    throw new BootstrapError("malformed/kubernetes-api", `${what} got an unexpected answer`, {
      details: { reason: result.issues[0]?.message ?? "" },
    });
  }

  async #unreachable(what: string, cause: unknown): Promise<BootstrapError> {
    const { origin } = this.#server;
    const refused = await tlsRefusal(this.#server, [this.#caPem], this.#signal);
    this.#signal?.throwIfAborted();
    if (refused === undefined) {
      return new BootstrapError("unavailable/kubernetes-api", `Cannot reach ${origin} for ${what}`, { cause });
    }
    return new BootstrapError("unavailable/kubernetes-api-tls", `TLS with ${origin} failed for ${what}`, {
      cause: refused,
      next: "Check the certificate of the API server, the address in it, and the clocks of both machines",
    });
  }
}

/** Reads a header `Date`; `undefined` if it is not there, or no date. */
function timeOf(date: string | null): number | undefined {
  const time = Date.parse(date ?? "");
  return Number.isNaN(time) ? undefined : time;
}

async function readText(response: Response, what: string): Promise<string> {
  // The runtime ends a body at its declared length, and reads it at once. Others are read until they are too long, and
  // so is one whose length does not count because of its encoding (RFC 9112, 6.3).
  const { headers } = response;
  const declared = headers.has("transfer-encoding") ? null : headers.get("content-length");
  if (declared !== null && Number(declared) <= MAXIMUM_ANSWER_BYTES) return await response.text();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAXIMUM_ANSWER_BYTES) {
      throw new BootstrapError(
        "malformed/kubernetes-api",
        `${what} got an answer of more than ${MAXIMUM_ANSWER_BYTES} bytes`,
      );
    }
    chunks.push(chunk);
  }
  return await new Blob(chunks).text();
}

/** Parses an answer. The caller checks its form. */
function parseAnswer(text: string, what: string): unknown {
  return readJson(text, {
    schema: v.unknown(),
    maximumBytes: MAXIMUM_ANSWER_BYTES,
    error: (reason, _key, cause) =>
      new BootstrapError("malformed/kubernetes-api", `Cannot read the answer to ${what}: ${reason}`, { cause }),
  });
}
