/**
 * The dialling end of the attested channel.
 *
 * @module
 */
import type { Socket } from "node:net";
import { connect } from "node:tls";
import type { TLSSocket } from "node:tls";
import { CallCredentials, ChannelCredentials, Client } from "@grpc/grpc-js";
import type { ClientDuplexStream, MethodDefinition, ServiceError } from "@grpc/grpc-js";
import { onAbort } from "../platform/abortable.ts";
import type { Bytes } from "../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import "./_http2_ends.ts";
import type { ExpectedServer, WhatAnswers } from "./other_server.ts";
import { explained, otherServer } from "./other_server.ts";
import { Exchange, MAXIMUM_MESSAGE_LENGTH } from "./exchange.ts";
import type { Envelope } from "./exchange.ts";
import { bindingOf, clientTlsOptions } from "./finished.ts";
import { errorOf } from "./refusal.ts";

type SecureConnector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

/** Credentials that open one TLS connection, expose its binding, and never open a second. */
class OneConnection extends ChannelCredentials {
  readonly binding: Promise<Bytes>;
  /** What answers, if it is none of this program's servers. */
  otherServer: string | undefined;
  readonly #bound: { resolve(binding: Promise<Bytes>): void; reject(error: BootstrapError): void };
  #used = false;

  constructor() {
    super();
    const { promise, resolve, reject } = Promise.withResolvers<Bytes>();
    this.binding = promise;
    this.binding.catch(() => {});
    this.#bound = { resolve, reject };
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(): SecureConnector {
    return {
      connect: async (socket) => ({ socket: await this.#secure(socket), secure: true }),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => {},
    };
  }

  async #secure(raw: Socket): Promise<TLSSocket> {
    try {
      if (this.#used) throw new BootstrapError("protocol/reconnect", "The channel is bound to its first connection");
      this.#used = true;
      const socket = await new Promise<TLSSocket>((resolve, reject) => {
        const secured = connect({ ...clientTlsOptions(), socket: raw }, () => resolve(secured));
        secured.once("error", reject);
        raw.once("close", () => reject(new Error("closed during the TLS handshake")));
      });
      this.otherServer = otherServer(socket);
      // Not awaited here: the socket must have its reader before the peer's first bytes arrive.
      this.#bound.resolve(bindingOf(socket, "client"));
      return socket;
    } catch (cause) {
      raw.destroy();
      const error = cause instanceof BootstrapError
        ? cause
        : new BootstrapError("unavailable/connection", "The TLS handshake failed", { cause });
      this.#bound.reject(error);
      throw error;
    }
  }
}

/** The peer to dial, and how. */
export interface DialOptions<Incoming extends Envelope, Outgoing extends Envelope> {
  /** The service's only method. */
  readonly method: MethodDefinition<Outgoing, Incoming>;
  /** `host:port` of the peer. */
  readonly endpoint: string;
  /** The time limit until the TLS handshake is complete, milliseconds. */
  readonly connectDeadlineMs: number;
  /**
   * How long the connection may be silent before the peer is probed, and how long the answer may take, milliseconds.
   * Default: no probes.
   */
  readonly keepAliveMs?: number;
  /** The server that should answer, for the error where another one does. */
  readonly expected?: ExpectedServer;
  /** Ends the exchange. */
  readonly signal?: AbortSignal;
}

/** A dialled exchange. Disposing ends it. */
export interface DialledExchange<Incoming extends Envelope, Outgoing extends Envelope> extends Disposable {
  readonly exchange: Exchange<Incoming, Outgoing>;
  /** Half-closes this side, and waits until the peer has ended the call. */
  finish(): Promise<void>;
}

/**
 * Connects, opens the only stream, and binds it to its connection.
 *
 * @throws {BootstrapError} `unavailable/connection`, `timeout/connect`, `aborted/dial`, `protocol/tls`,
 *   `protocol/other-server`.
 */
export async function dial<Incoming extends Envelope, Outgoing extends Envelope>(
  options: DialOptions<Incoming, Outgoing>,
): Promise<DialledExchange<Incoming, Outgoing>> {
  const credentials = new OneConnection();
  const client = new Client(options.endpoint, credentials, {
    "grpc.ssl_target_name_override": "bootstrapper.invalid",
    "grpc.max_receive_message_length": MAXIMUM_MESSAGE_LENGTH,
    "grpc.max_send_message_length": MAXIMUM_MESSAGE_LENGTH,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_retries": 0,
    "grpc.enable_channelz": 0,
    "grpc.use_local_subchannel_pool": 1,
    ...(options.keepAliveMs === undefined ? {} : {
      "grpc.keepalive_time_ms": options.keepAliveMs,
      "grpc.keepalive_timeout_ms": options.keepAliveMs,
    }),
  });
  const { path, requestSerialize, responseDeserialize } = options.method;
  const call: ClientDuplexStream<Outgoing, Incoming> = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
  );
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  const answers = (): WhatAnswers => ({
    endpoint: options.endpoint,
    expected: options.expected,
    other: credentials.otherServer,
  });
  const tell = (error: Error) => explained(errorOf(error as ServiceError), answers(), (error as ServiceError).code);
  const early = (error: Error) => failed.reject(tell(error));
  call.on("error", early);
  const timer = setTimeout(() => {
    failed.reject(new BootstrapError("timeout/connect", `No connection to ${options.endpoint} in time`));
  }, options.connectDeadlineMs);
  const stopping = onAbort(options.signal, () => {
    failed.reject(new BootstrapError("aborted/dial", `The call to ${options.endpoint} was stopped`));
  });
  const end = () => {
    clearTimeout(timer);
    stopping[Symbol.dispose]();
    call.cancel();
    client.close();
  };
  try {
    const binding = await Promise.race([credentials.binding, failed.promise]);
    clearTimeout(timer);
    const exchange = new Exchange<Incoming, Outgoing>(
      call,
      binding,
      options.endpoint,
      tell,
    );
    failed.promise.catch((error) => exchange.close(asBootstrapError(error)));
    return {
      exchange,
      async finish() {
        call.end();
        call.resume();
        const { promise: ended, resolve } = Promise.withResolvers<void>();
        const wait = setTimeout(resolve, options.connectDeadlineMs);
        using _ending = onAbort(exchange.closed, resolve);
        await ended;
        clearTimeout(wait);
      },
      [Symbol.dispose]: end,
    };
  } catch (error) {
    end();
    throw explained(asBootstrapError(error), answers());
  }
}
