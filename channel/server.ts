/**
 * The listening end of the attested channel: one stream per connection, and a separate binding for each connection.
 *
 * @module
 */
import { once } from "node:events";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { handleBidiStreamingCall, ServerDuplexStream, ServiceDefinition } from "@grpc/grpc-js";
import { createThrowAwayCertificate } from "../certificate/throw_away.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { RefusalLog } from "../platform/refusal_log.ts";
import "./_http2_ends.ts";
import { Exchange, MAXIMUM_MESSAGE_LENGTH } from "./exchange.ts";
import type { Envelope } from "./exchange.ts";
import { bindingOf, serverTlsOptions } from "./finished.ts";
import { watchListener } from "./_listener_watch.ts";
import type { OpenConnection } from "./_places.ts";
import { LONGEST_OPENING_MS, Places, SILENT_AFTER_MS } from "./_places.ts";
import { peerGroup, peerLink } from "./peer_group.ts";
import { grpcStatus, statusOf } from "./grpc_status.ts";
import { RelayedRefusal } from "./refusal.ts";
import type { Audience } from "./refusal.ts";

/** After this silence a peer is probed, milliseconds. The probes detect a peer whose machine has vanished. */
const KEEP_ALIVE_MS = 15_000;
/**
 * How many peers may work or wait for this side at once. Further handshakes begin as others finish. A connection costs
 * about 10 kB before its handshake, and about 100 kB after it.
 */
const MAXIMUM_UNDER_WAY = 256;
/** How often the listener counts the peers that are under way, and begins further handshakes. */
const LOOK_MS = 20;
/** How many handshakes begin at once. Each costs about a millisecond, and those under way must go on meanwhile. */
const MAXIMUM_BEGUN_AT_ONCE = 32;
/** How long a finished connection may take to close by itself, milliseconds. */
const CLOSING_DEADLINE_MS = 3_000;

/** One exchange, as the listening side sees it. */
export interface Session<Incoming extends Envelope, Outgoing extends Envelope> {
  readonly exchange: Exchange<Incoming, Outgoing>;
  /** Allows refusals to contain more than their code. */
  explainRefusals(): void;
  /**
   * Marks the peer as authenticated: refusals may contain more than their code, and its connection is never evicted.
   */
  trustPeer(): void;
}

/** The options of a channel server. */
export interface ChannelServerOptions<Incoming extends Envelope, Outgoing extends Envelope> {
  /** The generated service, with exactly one method. */
  readonly service: ServiceDefinition;
  /** The local address to listen on. */
  readonly host: string;
  /** The port, or 0 to let the kernel choose one. */
  readonly port: number;
  /**
   * The maximum number of simultaneous connections. Beyond it, an untrusted connection gives way to the newest: of the
   * peer groups with most connections, the one whose peer has been awaited longest (see `Places.makeRoom()`). So no peer
   * can lock the others out by holding connections, nor can many.
   */
  readonly maximumConnections: number;
  /** The largest message that a peer may send, bytes. Default: {@linkcode MAXIMUM_MESSAGE_LENGTH}. */
  readonly maximumMessageLength?: number;
  /** Serves one exchange. Errors that it throws reach the peer as refusals. */
  readonly handle: (session: Session<Incoming, Outgoing>) => Promise<void>;
  /** The log of refusals and transport failures. */
  readonly log: Log;
}

/** A listening channel. */
export interface ChannelServer extends AsyncDisposable {
  /** The port in use. */
  readonly port: number;
  /**
   * Watches the listener until the signal aborts.
   *
   * @throws {BootstrapError} `system/listen` if the listener no longer accepts connections. Only a new process fixes
   *   that.
   */
  watch(clock: Clock, signal: AbortSignal): Promise<void>;
  /** Stops listening, gives ended exchanges a moment to deliver their last messages, and closes every connection. */
  close(): Promise<void>;
}

/**
 * Starts to listen.
 *
 * @throws {BootstrapError} `system/listen` if the address is not available.
 */
export async function listen<Incoming extends Envelope, Outgoing extends Envelope>(
  options: ChannelServerOptions<Incoming, Outgoing>,
): Promise<ChannelServer> {
  const open = new Places(options.maximumConnections);
  const refusals = new RefusalLog();
  const secured = createServer(serverTlsOptions(await createThrowAwayCertificate()), (socket) => {
    const connection = open.get(peerOf(socket));
    if (connection === undefined) return void socket.destroy();
    open.noteHandshake(connection);
    serveConnection(socket, connection, open, options, options.log.with({ peer: peerOf(socket) }), refusals);
  });
  let looking: ReturnType<typeof setTimeout> | undefined;
  let [free, lookedMs] = [0, -Infinity];
  const begin = (connection: OpenConnection) => {
    const { raw } = connection;
    free--;
    connection.openedMs = performance.now();
    connection.opening = setTimeout(() => raw.destroy(), LONGEST_OPENING_MS);
    connection.listening = setTimeout(() => {
      if (raw.bytesRead === 0) open.noteSilence(connection, performance.now());
    }, SILENT_AFTER_MS);
    secured.emit("connection", raw);
  };
  const look = () => {
    const nowMs = performance.now();
    if (nowMs - lookedMs < LOOK_MS) return;
    lookedMs = nowMs;
    free = Math.min(MAXIMUM_BEGUN_AT_ONCE, MAXIMUM_UNDER_WAY - open.countUnderWay(nowMs));
  };
  const beginHeld = () => {
    look();
    const held = open.heldInTurn(performance.now());
    for (const connection of held.slice(0, Math.max(0, free))) if (!connection.raw.destroyed) begin(connection);
    looking = held.length === 0 ? undefined : setTimeout(beginHeld, LOOK_MS);
  };
  const listener = createTcpServer({ pauseOnConnect: true }, (raw) => {
    const peer = peerOf(raw);
    const origin = { group: peerGroup(peer), address: peerLink(peer) };
    open.closeOverdue(performance.now());
    if (!open.makeRoom(origin, performance.now())) {
      raw.destroy();
      return;
    }
    raw.setKeepAlive(true, KEEP_ALIVE_MS);
    const connection: OpenConnection = {
      raw,
      origin,
      openedMs: undefined,
      opening: undefined,
      listening: undefined,
      silent: false,
      exchange: undefined,
      trusted: false,
    };
    open.add(peer, connection);
    raw.on("error", () => raw.destroy());
    raw.once("close", () => {
      clearTimeout(connection.opening);
      clearTimeout(connection.listening);
      open.delete(peer, connection);
    });
    if (looking !== undefined) return;
    look();
    if (free > 0) begin(connection);
    else looking = setTimeout(beginHeld, LOOK_MS);
  });
  secured.on("tlsClientError", (error) => {
    options.log.event("debug", "channel-tls-error", { message: error.message });
  });
  const { host, port } = options;
  listener.listen(port, host);
  try {
    await once(listener, "listening");
  } catch (cause) {
    throw new BootstrapError("system/listen", `Cannot listen on ${host}:${port}`, { cause });
  }
  const close = async () => {
    const closed = once(listener, "close");
    listener.close();
    clearTimeout(looking);
    for (const connection of open.values()) if (connection.exchange === undefined) connection.raw.destroy();
    const grace = setTimeout(() => {
      for (const { raw } of open.values()) raw.destroy();
    }, CLOSING_DEADLINE_MS);
    await closed;
    clearTimeout(grace);
  };
  return {
    port: (listener.address() as AddressInfo).port,
    watch: (clock, signal) => watchListener(listener, clock, signal),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

function serveConnection<Incoming extends Envelope, Outgoing extends Envelope>(
  socket: TLSSocket,
  connection: OpenConnection,
  places: Places,
  options: ChannelServerOptions<Incoming, Outgoing>,
  log: Log,
  refusals: RefusalLog,
): void {
  const { raw } = connection;
  socket.on("error", () => raw.destroy());
  try {
    // Not awaited here: the socket must have its reader before the peer's first bytes arrive.
    const binding = bindingOf(socket, "server");
    binding.catch(() => raw.destroy());
    // A separate gRPC server for each connection: its handler knows the connection, and no stream of another one
    // reaches it.
    const server = new Server({
      "grpc.max_receive_message_length": options.maximumMessageLength ?? MAXIMUM_MESSAGE_LENGTH,
      "grpc.max_send_message_length": MAXIMUM_MESSAGE_LENGTH,
      "grpc.max_concurrent_streams": 1,
      "grpc.enable_channelz": 0,
    });
    raw.once("close", () => server.forceShutdown());
    let streams = 0;
    const serve: handleBidiStreamingCall<Incoming, Outgoing> = async (call) => {
      clearTimeout(connection.opening);
      if (++streams > 1) {
        log.event("warn", "channel-second-stream");
        raw.destroy();
        return;
      }
      const exchange = new Exchange<Incoming, Outgoing>(
        call,
        await binding,
        peerOf(socket),
        (error) => new BootstrapError("unavailable/peer-gone", "The connection failed", { cause: error }),
      );
      connection.exchange = exchange;
      raw.once("close", () => exchange.close(new BootstrapError("unavailable/peer-gone", "The peer is gone")));
      serveExchange(call, exchange, () => places.trust(connection), options, log, refusals).finally(() => {
        places.release(connection, performance.now());
        const closing = setTimeout(() => raw.destroy(), CLOSING_DEADLINE_MS);
        raw.once("close", () => clearTimeout(closing));
      });
    };
    const method = Object.keys(options.service)[0] ?? "";
    server.addService(options.service, { [method]: serve });
    server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(socket);
  } catch (error) {
    log.event("warn", "channel-refused", errorFields(asBootstrapError(error)));
    raw.destroy();
  }
}

async function serveExchange<Incoming extends Envelope, Outgoing extends Envelope>(
  call: ServerDuplexStream<Incoming, Outgoing>,
  exchange: Exchange<Incoming, Outgoing>,
  trust: () => void,
  options: ChannelServerOptions<Incoming, Outgoing>,
  log: Log,
  refusals: RefusalLog,
): Promise<void> {
  let audience = "stranger" as Audience;
  const explainRefusals = () => {
    audience = "peer";
  };
  const trustPeer = () => {
    explainRefusals();
    trust();
  };
  try {
    await options.handle({ exchange, explainRefusals, trustPeer });
    if (!call.cancelled) call.end();
  } catch (error) {
    if (error instanceof RelayedRefusal) {
      if (!call.cancelled) call.emit("error", grpcStatus(error.status));
      return;
    }
    const refusal = asBootstrapError(error);
    const group = peerGroup(exchange.peerAddress);
    refusals.note(log, "exchange-refused", refusal, { group, isKnown: audience === "peer" });
    // If the peer has ended the stream, no one receives the status, and the runtime's HTTP/2 is not reliable in that
    // state.
    if (!call.cancelled) call.emit("error", statusOf(refusal, audience));
  }
}
