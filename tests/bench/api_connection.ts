import * as v from "valibot";

/** How a connection authenticates; without either, it is anonymous. */
export interface ConnectionCredentials {
  readonly token?: string;
  readonly client?: { readonly certificatePem: string; readonly keyPem: string };
}

const eventSchema = v.object({ object: v.unknown() });

/**
 * A connection of one program to the API server, for the calls that {@linkcode KubernetesApi} does not make: without a
 * certificate, and watches.
 */
export class ApiConnection implements Disposable {
  readonly #server: string;
  readonly #client: Deno.HttpClient;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #signal: AbortSignal;

  /** Connects at the first call. `signal` ends all calls. */
  constructor(server: string, caPem: string, { token, client }: ConnectionCredentials, signal: AbortSignal) {
    this.#server = server;
    this.#client = client === undefined
      ? Deno.createHttpClient({ caCerts: [caPem] })
      : Deno.createHttpClient({ caCerts: [caPem], cert: client.certificatePem, key: client.keyPem });
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.#signal = signal;
  }

  /** Gets an object or a list. */
  async get<T>(path: string, schema: v.GenericSchema<unknown, T>): Promise<T> {
    return v.parse(schema, await (await this.#call("GET", path)).json());
  }

  /** Gets an object that may be missing or forbidden, and forgets it. */
  async look(path: string, fine: readonly number[] = [200, 404]): Promise<void> {
    await (await this.#call("GET", path, { fine })).text();
  }

  /** Creates an object. */
  async create(path: string, body: unknown): Promise<void> {
    await (await this.#call("POST", path, { body, fine: [201] })).text();
  }

  /** Watches until `until` finds something in an object. */
  async watch<T>(path: string, until: (object: unknown) => T | undefined): Promise<T> {
    const response = await this.#call("GET", path);
    let rest = "";
    // Leaving the loop cancels the answer.
    for await (const text of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const found = until(v.parse(eventSchema, JSON.parse(line)).object);
        if (found !== undefined) return found;
      }
    }
    throw new Error(`The watch of ${path} ended before anything was found`);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  async #call(
    method: string,
    path: string,
    { body, fine = [200] }: { readonly body?: unknown; readonly fine?: readonly number[] } = {},
  ): Promise<Response> {
    const request: RequestInit & { readonly client: Deno.HttpClient } = {
      ...{ method, client: this.#client, signal: this.#signal },
      headers: { accept: "application/json", "content-type": "application/json", ...this.#headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    const response = await fetch(this.#server + path, request);
    if (fine.includes(response.status)) return response;
    throw new Error(`${method} ${path} got ${response.status}: ${(await response.text()).slice(0, 500)}`);
  }
}
