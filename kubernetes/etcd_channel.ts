import { Client, Metadata, status } from "@grpc/grpc-js";
import type { MethodDefinition, ServiceError } from "@grpc/grpc-js";
import { onAbort } from "../platform/abortable.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ClusterService, type MemberListResponse } from "../proto/gen/etcd.ts";
import { certificateError, etcdError } from "./_etcd_error.ts";
import { EtcdChannelCredentials, type EtcdCredentials, type EtcdEndpoint, findTlsProblem } from "./_etcd_tls.ts";

export { parseEtcdEndpoint } from "./_etcd_tls.ts";
export type { EtcdCredentials, EtcdEndpoint } from "./_etcd_tls.ts";

/** The limits of a call. */
export interface CallBounds {
  /** When the call ends with `timeout/etcd`, milliseconds since 1970. */
  readonly deadline: number;
  /** Ends the call with `aborted/etcd`. */
  readonly signal: AbortSignal;
}

/** The limit of an answer. etcd's lists of members are far smaller. */
const MAXIMUM_ANSWER_BYTES = 1 << 20;

/**
 * Calls one etcd member. Each call uses a new connection, so that none turns out to be dead, and none waits to dial.
 */
export class EtcdChannel {
  readonly #endpoint: EtcdEndpoint;
  readonly #credentials: EtcdCredentials;
  readonly #dialer: string | undefined;

  /**
   * Sends nothing yet.
   *
   * @param dialer The socket of a process that connects to the member. Default: this process does.
   */
  constructor(endpoint: EtcdEndpoint, credentials: EtcdCredentials, dialer?: string) {
    this.#endpoint = endpoint;
    this.#credentials = credentials;
    this.#dialer = dialer;
  }

  /** Lists the members: if `linearizable`, as a quorum knows them now, otherwise as this member remembers them. */
  list(linearizable: boolean, bounds: CallBounds): Promise<MemberListResponse> {
    const metadata = new Metadata();
    // This makes a member without a leader refuse at once (etcd's client package, `WithRequireLeader`).
    if (linearizable) metadata.set("hasleader", "true");
    return this.call("MemberList", ClusterService.memberList, { linearizable }, bounds, metadata);
  }

  /** Removes a member. Returns `false` if there is none with that ID. */
  async remove(id: bigint, bounds: CallBounds): Promise<boolean> {
    try {
      await this.call("MemberRemove", ClusterService.memberRemove, { ID: id }, bounds);
      return true;
    } catch (error) {
      if (error instanceof BootstrapError && error.code === "precondition/not-found") return false;
      throw error;
    }
  }

  /**
   * Makes any call of one request and one answer. A stream's method is called with one request, and answers once.
   *
   * @param name The call's name, for errors.
   * @throws {BootstrapError} `timeout/etcd`, `aborted/etcd`, `unavailable/etcd`, `unauthorized/etcd` and the others of
   *   an etcd status. After `timeout/etcd` and `unavailable/etcd` etcd may have done what was asked.
   */
  async call<Request, Response>(
    name: string,
    method: MethodDefinition<Request, Response>,
    request: Request,
    { deadline, signal }: CallBounds,
    metadata: Metadata = new Metadata(),
  ): Promise<Response> {
    using connection = this.#connect();
    const { client } = connection;
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const { path, requestSerialize, responseDeserialize } = method;
    const call = client.makeUnaryRequest(
      ...[path, requestSerialize, responseDeserialize, request, metadata, { deadline }] as const,
      (error, response) => error === null && response !== undefined ? resolve(response) : reject(error),
    );
    using _stopping = onAbort(signal, () => call.cancel());
    try {
      return await promise;
    } catch (error) {
      throw await this.#explain(name, error as ServiceError, { deadline, signal });
    }
  }

  /**
   * Makes a call of one request and many answers. The call ends when the caller stops to read.
   *
   * @param name The call's name, for errors.
   * @throws {BootstrapError} As {@linkcode EtcdChannel.call}.
   */
  async *stream<Request, Response>(
    name: string,
    method: MethodDefinition<Request, Response>,
    request: Request,
    { deadline, signal }: CallBounds,
  ): AsyncGenerator<Response, void> {
    using connection = this.#connect();
    const { path, requestSerialize, responseDeserialize } = method;
    const call = connection.client.makeServerStreamRequest(
      ...[path, requestSerialize, responseDeserialize, request, new Metadata(), { deadline }] as const,
    );
    using _stopping = onAbort(signal, () => call.cancel());
    let isOver = false;
    try {
      for await (const answer of call) yield answer as Response;
      isOver = true;
    } catch (error) {
      isOver = true;
      throw await this.#explain(name, error as ServiceError, { deadline, signal });
    } finally {
      if (!isOver) call.cancel();
    }
  }

  #connect(): Disposable & { readonly client: Client } {
    const dialer = this.#dialer;
    const tls = new EtcdChannelCredentials(this.#endpoint, this.#credentials, dialer !== undefined);
    const client = new Client(dialer === undefined ? this.#endpoint.text : `unix:${dialer}`, tls, {
      "grpc.max_receive_message_length": MAXIMUM_ANSWER_BYTES,
      "grpc.service_config_disable_resolution": 1,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_http_proxy": 0,
      "grpc.enable_retries": 0,
      "grpc.enable_channelz": 0,
    });
    return {
      client,
      [Symbol.dispose]() {
        client.close();
        tls[Symbol.dispose]();
      },
    };
  }

  async #explain(request: string, error: ServiceError, { deadline, signal }: CallBounds): Promise<BootstrapError> {
    if (error.code === status.UNAVAILABLE) {
      const leftMs = Math.max(0, deadline - Date.now());
      const bound = AbortSignal.any([signal, AbortSignal.timeout(leftMs)]);
      const problem = await findTlsProblem(this.#endpoint, this.#credentials, bound, this.#dialer)
        .catch(() => undefined);
      if (problem !== undefined) return certificateError(this.#endpoint.text, problem);
    }
    return etcdError(this.#endpoint.text, request, error);
  }
}
