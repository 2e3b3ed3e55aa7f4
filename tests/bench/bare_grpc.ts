import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { CallCredentials, ChannelCredentials, Client, Server, ServerCredentials } from "@grpc/grpc-js";
import "../../channel/_http2_ends.ts";
import { clientTlsOptions, serverTlsOptions } from "../../channel/finished.ts";
import { createThrowAwayCertificate } from "../../certificate/throw_away.ts";

/**
 * A gRPC server with one method that returns its input, without a channel binding, evidence or a node's certificate.
 */
export interface BareServer extends AsyncDisposable {
  readonly port: number;
  /** Connects, calls once, and closes. */
  callOnce(): Promise<void>;
}

const METHOD = "/bench.Bench/Echo";
const MESSAGE_BYTES = 32;
const DEADLINE_MS = 10_000;
const asIs = (bytes: Uint8Array) => Buffer.from(bytes);

type SecureConnector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

/** TLS 1.3 through the runtime, as gRPC's own TLS does not work there. */
class BareTls extends ChannelCredentials {
  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(): SecureConnector {
    return {
      connect: async (raw) => ({ socket: await secure(raw), secure: true }),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => {},
    };
  }
}

function secure(raw: Socket): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...clientTlsOptions(), socket: raw }, () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Starts the server on loopback. */
export async function startBareServer(port = 0): Promise<BareServer> {
  const open = new Set<Socket>();
  const listener = createServer(serverTlsOptions(await createThrowAwayCertificate()), (socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => open.delete(socket));
    const server = new Server();
    server.addService({
      echo: {
        ...{ path: METHOD, requestStream: false, responseStream: false },
        ...{ requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs },
      },
    }, { echo: (call: { request: Buffer }, done: (error: null, reply: Buffer) => void) => done(null, call.request) });
    server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(socket);
  });
  listener.listen(port, "127.0.0.1");
  await once(listener, "listening");
  const bound = (listener.address() as AddressInfo).port;
  return {
    port: bound,
    callOnce: () => callOnce(bound),
    async [Symbol.asyncDispose]() {
      const closed = once(listener, "close");
      listener.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** Connects to a bare server, calls once, and closes. */
export async function callOnce(port: number, host = "127.0.0.1"): Promise<void> {
  // A local pool, as a shared one would keep the connection for the next call.
  const client = new Client(`${host}:${port}`, new BareTls(), { "grpc.use_local_subchannel_pool": 1 });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const deadline = Date.now() + DEADLINE_MS;
  client.makeUnaryRequest(METHOD, asIs, asIs, new Uint8Array(MESSAGE_BYTES), { deadline }, (error) => {
    if (error === null) resolve();
    else reject(error);
  });
  try {
    await promise;
  } finally {
    client.close();
  }
}
