import { connect as connectSocket, isIP, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { CallCredentials, ChannelCredentials } from "@grpc/grpc-js";
import { onAbort } from "../platform/abortable.ts";
import { sayWhere } from "../platform/dialing.ts";
import { BootstrapError } from "../platform/errors.ts";
import { codeOfTlsError } from "./_etcd_error.ts";

type SecureConnector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

/** The credentials of an etcd client. */
export interface EtcdCredentials {
  /** The CA certificate of etcd, PEM. Only this CA may issue a member's certificate. */
  readonly caPem: string;
  /** The client's certificate, PEM. */
  readonly certificatePem: string;
  /** The client's private key, PEM. */
  readonly keyPem: string;
}

/** The address on which an etcd member listens for clients. */
export interface EtcdEndpoint {
  /** `host:port`, or `[IPv6]:port`. */
  readonly text: string;
  /** A DNS name or an IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

const ENDPOINT = /^(?:https:\/\/)?((?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.-]+)):([0-9]{1,5}))\/?$/;
const LARGEST_PORT = 65_535;

/** Parses `host:port` or the URL `https://host:port`. Returns `undefined` if the input is neither. */
export function parseEtcdEndpoint(input: string): EtcdEndpoint | undefined {
  const [, text, ipv6, name, digits] = ENDPOINT.exec(input) ?? [];
  const host = ipv6 ?? name;
  const port = Number(digits);
  if (text === undefined || host === undefined || !(port >= 1 && port <= LARGEST_PORT)) return undefined;
  return ipv6 !== undefined && isIP(ipv6) !== 6 ? undefined : { text, host, port };
}

/** Starts TLS. The server's certificate must contain `host`, as a DNS name or an IP address. */
function startTls(
  target: { readonly socket: Socket } | { readonly port: number },
  host: string,
  { caPem: ca, certificatePem: cert, keyPem: key }: EtcdCredentials,
): TLSSocket {
  const servername = isIP(host) === 0 ? { servername: host } : {};
  return connect({ ...target, host, ...servername, ca, cert, key, rejectUnauthorized: true, ALPNProtocols: ["h2"] });
}

/**
 * TLS for grpc-js. Its own TLS rejects hosts that are IP addresses, because Deno accepts no address as a server name.
 */
export class EtcdChannelCredentials extends ChannelCredentials implements Disposable {
  readonly #endpoint: EtcdEndpoint;
  readonly #credentials: EtcdCredentials;
  readonly #isDialled: boolean;
  readonly #sockets = new DisposableStack();

  /** @param isDialled Whether grpc-js connects to the socket of a process that connects to the member. */
  constructor(endpoint: EtcdEndpoint, credentials: EtcdCredentials, isDialled: boolean) {
    super();
    this.#endpoint = endpoint;
    this.#credentials = credentials;
    this.#isDialled = isDialled;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(): SecureConnector {
    return {
      connect: async (socket) => {
        if (this.#isDialled) await sayWhere(socket, this.#endpoint);
        return { socket: await this.#secure(socket), secure: true };
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => {},
    };
  }

  /**
   * Closes the connections at once. grpc-js would keep them for seconds, and during the handshake for as long as the
   * peer does.
   */
  [Symbol.dispose](): void {
    this.#sockets.dispose();
  }

  #secure(raw: Socket): Promise<TLSSocket> {
    const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
    raw.once("close", () => reject(new BootstrapError("unavailable/etcd", "Closed during the TLS handshake")));
    if (this.#sockets.disposed) {
      raw.destroy();
      return promise;
    }
    this.#sockets.defer(() => raw.destroy());
    const secured = startTls({ socket: raw }, this.#endpoint.host, this.#credentials);
    secured.once("secureConnect", () => resolve(secured));
    secured.on("error", reject);
    return promise;
  }
}

/**
 * Finds out why TLS to an etcd member fails. Returns the error's code, or `undefined` if the member accepts the client
 * or the network fails.
 *
 * It opens a connection and only reads. In TLS 1.3 a server rejects a client's certificate after the client has
 * finished its handshake, and HTTP/2's writes may then fail before the client reads that alert.
 *
 * @param signal Ends the attempt.
 * @param dialer The socket of a process that connects to the member.
 */
export async function findTlsProblem(
  endpoint: EtcdEndpoint,
  credentials: EtcdCredentials,
  signal: AbortSignal,
  dialer?: string,
): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const { host, port } = endpoint;
  const socket = startTls(
    dialer === undefined ? { port } : { socket: await dialled(endpoint, dialer, signal) },
    host,
    credentials,
  );
  const stop = () => resolve(undefined);
  socket.on("error", (error) => resolve(codeOfTlsError(error)));
  socket.once("data", stop);
  socket.once("close", stop);
  using _stopping = onAbort(signal, stop);
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

/** A connection to a process that connects to a member. It rejects where there is no such process. */
async function dialled(endpoint: EtcdEndpoint, dialer: string, signal: AbortSignal): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connectSocket({ path: dialer });
  socket.once("connect", resolve).once("error", reject);
  using _stopping = onAbort(signal, () => socket.destroy(new Error("aborted")));
  await promise;
  await sayWhere(socket, endpoint);
  return socket;
}
