/**
 * The process behind a front: it listens on a Unix socket, and runs the exchanges that the front passes on.
 *
 * The front is as hostile as any peer. What it says of a connection (CB, the peer's address, that the peer is gone) is
 * hearsay, and this process has bounds of its own for everything.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import type { MethodDefinition } from "@grpc/grpc-js";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { listenOnUnixSocket } from "../platform/unix_socket.ts";
import type { Log } from "../platform/log.ts";
import { RefusalLog } from "../platform/refusal_log.ts";
import { peerGroup } from "./peer_group.ts";
import { backOffMs } from "../platform/retry.ts";
import { Exchange } from "./exchange.ts";
import type { Envelope, Kind, MessageStream } from "./exchange.ts";
import type { Errands } from "./errands.ts";
import { ByteTotal, FrameConnection } from "./frame_connection.ts";
import type { Audience } from "./refusal.ts";
import { encodeStatus } from "./refusal.ts";
import type { BackFrame, FrontFrame } from "./relay_frames.ts";
import { BACK_FRAMES, FRONT_FRAMES } from "./relay_frames.ts";
import type { Session } from "./server.ts";

/** The bounds of a process behind a front. */
export interface RelayBounds {
  /** How many exchanges may be under way at once. */
  readonly maximumExchanges: number;
  /** The largest message of a peer, bytes. */
  readonly maximumMessageLength: number;
  /**
   * How many bytes of messages may be held for all exchanges together. With less than the largest message for each
   * exchange, few peers that send large ones would keep out all others.
   */
  readonly maximumBytes: number;
  /** How long an exchange may take as a whole, milliseconds, apart from the waits in `apart`. */
  readonly exchangeDeadlineMs: number;
}

/** The options of {@linkcode serveRelayed}. */
export interface RelayServerOptions<Incoming extends Envelope, Outgoing extends Envelope> extends RelayBounds {
  /** From {@linkcode openRelaySocket}. */
  readonly listener: Deno.Listener;
  /** The service's only method. */
  readonly method: MethodDefinition<Incoming, Outgoing>;
  /** The number by which fronts name the service. */
  readonly serviceNumber: number;
  /** The largest message of a kind, bytes, where that is less than the largest of all. */
  readonly maximumLengths?: Partial<Readonly<Record<Kind<Incoming>, number>>>;
  /** Messages that may be awaited beyond the deadline of the exchange; each wait has a deadline of its own. */
  readonly apart?: readonly Kind<Incoming>[];
  /** Serves one exchange. Errors that it throws reach the peer as refusals. */
  readonly handle: (session: Session<Incoming, Outgoing>) => Promise<void>;
  /** Called when a front says on which port it listens. */
  readonly onListening?: (port: number) => void;
  /** Fetches documents through the front. */
  readonly errands?: Errands;
  readonly clock: Pick<Clock, "sleep">;
  /** Whether `handle` itself records what it throws. */
  readonly logsOwnRefusals?: boolean;
  /** The log of refusals. */
  readonly log: Log;
}

/** A running server. Disposing stops it, and ends all exchanges. */
export interface RelayServer extends AsyncDisposable {
  /** Settles when the server has stopped. @throws {BootstrapError} `system/listen` if it can accept no connection. */
  readonly ended: Promise<void>;
  /** How many exchanges are under way. */
  readonly underWay: number;
}

/** How long a front may take for the first frame of a connection, milliseconds. It has it when it connects. */
const FIRST_FRAME_DEADLINE_MS = 5_000;
/** How often a front hears that this process lives, milliseconds. */
export const ALIVE_MS = 10_000;
/** An exchange beyond its deadline that awaits a message which counts apart is looked at again after this time. */
const LOOK_AGAIN_MS = 1_000;
/** How often in a row no connection can be accepted before the server gives up. */
const MOST_FAILURES = 20;
/** The pauses after a connection could not be accepted. */
const ACCEPT_BACK_OFF = { firstMs: 20, factor: 2, longestMs: 2_000, jitter: 0.2 } as const;

type Connection = FrameConnection<FrontFrame, BackFrame>;

/**
 * Opens the socket for the front. Its folder decides who reaches it: only the two users may enter it.
 *
 * @throws {BootstrapError} `system/listen`.
 */
export function openRelaySocket(path: string): Promise<Deno.Listener> {
  return listenOnUnixSocket(path);
}

/** Serves exchanges that a front passes on. */
export function serveRelayed<Incoming extends Envelope, Outgoing extends Envelope>(
  options: RelayServerOptions<Incoming, Outgoing>,
): RelayServer {
  const { listener, clock, log } = options;
  const total = new ByteTotal(options.maximumBytes);
  const refusals = new RefusalLog();
  const open = new Set<Connection>();
  let underWay = 0;
  let isClosing = false;

  const serve = async (conn: Deno.Conn) => {
    const limits = { message: options.maximumMessageLength, document: options.errands?.maximumDocumentBytes ?? 0 };
    using connection: Connection = new FrameConnection({
      ...{ conn, incoming: FRONT_FRAMES, outgoing: BACK_FRAMES, total, limits },
    });
    open.add(connection);
    const late = setTimeout(() => connection[Symbol.dispose](), FIRST_FRAME_DEADLINE_MS);
    try {
      const first = await connection.next();
      clearTimeout(late);
      if (first?.kind === "exchange") {
        underWay++;
        try {
          await serveExchange({
            connection,
            limits,
            first,
            refusals,
            isOneTooMany: underWay > options.maximumExchanges,
          }, options);
        } finally {
          underWay--;
        }
      } else if (first?.kind === "listening") {
        options.onListening?.(first.port);
        // The connection stands as long as the front listens.
        await connection.next();
      } else if (first?.kind === "errands" && options.errands !== undefined) {
        await options.errands.serve(connection);
      } else if (first !== undefined) {
        throw new BootstrapError("malformed/relay-frame", `No connection begins with the frame "${first.kind}"`);
      }
    } catch (error) {
      refusals.note(log, "front-refused", asBootstrapError(error), { group: "front", isKnown: false });
    } finally {
      clearTimeout(late);
      open.delete(connection);
    }
  };

  const run = async () => {
    for (let failures = 0; !isClosing;) {
      try {
        const conn = await listener.accept();
        failures = 0;
        serve(conn);
      } catch (cause) {
        if (isClosing) return;
        if (++failures >= MOST_FAILURES) {
          throw new BootstrapError("system/listen", "The front's socket no longer accepts connections", {
            cause,
            next: "Make sure that the process may open enough files (LimitNOFILE= of its unit), and start it again",
          });
        }
        await clock.sleep(backOffMs(ACCEPT_BACK_OFF, failures, Math.random()));
      }
    }
  };
  const ended = run();
  ended.catch(() => {});
  return {
    ended,
    get underWay() {
      return underWay;
    },
    async [Symbol.asyncDispose]() {
      if (!isClosing) listener.close();
      isClosing = true;
      for (const connection of open) connection[Symbol.dispose]();
      await ended.catch(() => {});
    },
  };
}

/** An exchange that a front has begun. */
interface BegunExchange {
  readonly connection: Connection;
  /** The limits of the connection. */
  readonly limits: { message: number };
  readonly first: Extract<FrontFrame, { readonly kind: "exchange" }>;
  readonly refusals: RefusalLog;
  readonly isOneTooMany: boolean;
}

async function serveExchange<Incoming extends Envelope, Outgoing extends Envelope>(
  { connection, limits, first: { binding, peer, service }, refusals, isOneTooMany }: BegunExchange,
  options: RelayServerOptions<Incoming, Outgoing>,
): Promise<void> {
  const log = options.log.with({ peer });
  const limit = () => {
    const { maximumLengths, maximumMessageLength } = options;
    const lengths = exchange.awaitedKinds.map((kind) => maximumLengths?.[kind] ?? maximumMessageLength);
    limits.message = Math.max(...lengths);
  };
  const stream = new RelayedStream<Incoming, Outgoing>(connection, options.method, limit);
  const exchange: Exchange<Incoming, Outgoing> = new Exchange(stream, binding, peer, asBootstrapError);
  const reading = stream.read();
  const alive = setInterval(() => connection.write({ kind: "alive" }).catch(() => {}), ALIVE_MS);
  using _deadline = limitExchange(exchange, options);
  let audience = "stranger" as Audience;
  let hasBegun = false;
  const explainRefusals = () => {
    audience = "peer";
  };
  const trustPeer = () => {
    explainRefusals();
    connection.write({ kind: "trusted" }).catch(() => {});
  };
  try {
    if (service !== options.serviceNumber) {
      throw new BootstrapError("malformed/relay-frame", `This process does not serve the service number ${service}`);
    }
    if (isOneTooMany) {
      throw new BootstrapError("unavailable/busy", "As many exchanges are under way as this process can take", {
        retryAfterSeconds: 5,
      });
    }
    hasBegun = true;
    await options.handle({ exchange, explainRefusals, trustPeer });
    await connection.write({ kind: "ended" });
  } catch (error) {
    const refusal = asBootstrapError(error);
    if (options.logsOwnRefusals !== true || !hasBegun) {
      const group = peerGroup(peer);
      refusals.note(log, "exchange-refused", refusal, { group, isKnown: audience === "peer" });
    }
    await connection.write({ kind: "refused", ...encodeStatus(refusal, audience) }).catch(() => {});
  } finally {
    clearInterval(alive);
    exchange.close(new BootstrapError("unavailable/peer-gone", "The exchange has ended"));
    connection[Symbol.dispose]();
    await reading;
  }
}

/** Ends an exchange that takes too long as a whole. */
function limitExchange<Incoming extends Envelope>(
  exchange: Exchange<Incoming, Envelope>,
  { exchangeDeadlineMs, apart = [] }: {
    readonly exchangeDeadlineMs: number;
    readonly apart?: readonly Kind<Incoming>[];
  },
): Disposable {
  let timer: ReturnType<typeof setTimeout>;
  const look = () => {
    if (apart.some((kind) => exchange.isAwaiting(kind))) timer = setTimeout(look, LOOK_AGAIN_MS);
    else {
      exchange.close(
        new BootstrapError("timeout/exchange", `The exchange took more than ${exchangeDeadlineMs / 1000} s`),
      );
    }
  };
  timer = setTimeout(look, exchangeDeadlineMs);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** The stream of a peer behind a front. The front sends one message for each `await`, so that one is held at most. */
class RelayedStream<Incoming extends Envelope, Outgoing extends Envelope> extends EventEmitter
  implements MessageStream<Incoming, Outgoing> {
  readonly #connection: Connection;
  readonly #method: MethodDefinition<Incoming, Outgoing>;
  readonly #onAsk: () => void;
  #isAsked = false;

  constructor(connection: Connection, method: MethodDefinition<Incoming, Outgoing>, onAsk: () => void) {
    super();
    this.#connection = connection;
    this.#method = method;
    this.#onAsk = onAsk;
  }

  /** The front holds back what was not asked for. */
  pause(): this {
    return this;
  }

  /** Asks the front for one message. */
  resume(): this {
    if (this.#isAsked) return this;
    this.#isAsked = true;
    this.#onAsk();
    this.#connection.write({ kind: "await" }).catch((error) => this.#fail(error));
    return this;
  }

  write(message: Outgoing, callback?: (error?: Error | null) => void): boolean {
    this.#connection.write({ kind: "message", bytes: new Uint8Array(this.#method.responseSerialize(message)) }).then(
      () => callback?.(null),
      (error) => callback?.(error),
    );
    return true;
  }

  /** Reads until the connection ends. Never throws. */
  async read(): Promise<void> {
    try {
      for (let frame = await this.#connection.next(); frame !== undefined; frame = await this.#connection.next()) {
        if (frame.kind !== "message" || !this.#isAsked) {
          throw new BootstrapError("malformed/relay-frame", `The front sent the frame "${frame.kind}" out of order`);
        }
        this.#isAsked = false;
        this.emit("data", this.#read(frame.bytes));
      }
      this.emit("end");
    } catch (error) {
      this.#fail(error);
    }
  }

  #read(bytes: Uint8Array): Incoming {
    try {
      return this.#method.requestDeserialize(Buffer.from(bytes));
    } catch (cause) {
      throw new BootstrapError("malformed/message", "Cannot read the message", { cause });
    }
  }

  #fail(error: unknown): void {
    this.emit("error", asBootstrapError(error));
  }
}
