/**
 * The front: it listens, keeps the connections, and passes each exchange on to the process behind it.
 *
 * The front reads of a message only what gRPC needs. It has no key and decides nothing: places and the transport are
 * its own, and everything else is the other process's.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { abortable, onAbort } from "../platform/abortable.ts";
import type { Clock } from "../platform/clock.ts";
import { systemClock } from "../platform/clock.ts";
import { withDeadline } from "../platform/deadline.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { FrameConnection } from "./frame_connection.ts";
import { RelayedRefusal } from "./refusal.ts";
import type { BackFrame, FrontFrame } from "./relay_frames.ts";
import { BACK_FRAMES, FRONT_FRAMES } from "./relay_frames.ts";
import type { ChannelServer, Session } from "./server.ts";
import { MAXIMUM_MESSAGE_LENGTH } from "./exchange.ts";
import { listen } from "./server.ts";

/** A message that is passed on as it is. */
export interface RawEnvelope {
  message: { $case: "bytes"; bytes: Uint8Array } | undefined;
}

/** The options of {@linkcode listenAtFront}. */
export interface FrontOptions {
  /** The socket of the process behind. */
  readonly path: string;
  /** The generated service, with exactly one method. */
  readonly service: ServiceDefinition;
  /** The number by which both processes name the service. */
  readonly serviceNumber: number;
  /** The local address to listen on. */
  readonly host: string;
  /** The port, or 0 to let the kernel choose one. */
  readonly port: number;
  /** See `ChannelServerOptions`. */
  readonly maximumConnections: number;
  /** The largest message that a peer may send, bytes. */
  readonly maximumMessageLength: number;
  readonly log: Log;
}

/** How long the process behind may take to accept a connection, milliseconds. */
const CONNECT_DEADLINE_MS = 5_000;
/** A process behind that said nothing for this long is stuck, milliseconds. It sends a sign of life every ten seconds. */
const SILENCE_MS = 60_000;
/** How long the process behind may take until it asks for the last message of a peer that has ended, milliseconds. */
const LAST_MESSAGE_MS = 5_000;
/**
 * How long a peer may be awaited at all, milliseconds. The process behind has its own, shorter deadlines; the longest
 * is a control plane's turn, 15 minutes.
 */
const LONGEST_WAIT_MS = 20 * 60_000;

/**
 * Listens, and passes the exchanges on.
 *
 * @throws {BootstrapError} `system/listen` if the address is not available.
 */
export function listenAtFront(options: FrontOptions): Promise<ChannelServer> {
  const { service, host, port, maximumConnections, maximumMessageLength, log } = options;
  return listen<RawEnvelope, RawEnvelope>({
    service: rawService(service),
    ...{ host, port, maximumConnections, maximumMessageLength, log },
    handle: (session) => passOn(session, options),
  });
}

/**
 * Connects to the process behind.
 *
 * @throws {BootstrapError} `unavailable/relay`.
 */
export async function connectRelay(path: string, clock: Pick<Clock, "sleep"> = systemClock): Promise<Deno.Conn> {
  const late = () => new Error(`it accepted no connection for ${CONNECT_DEADLINE_MS / 1000} s`);
  try {
    return await withDeadline(clock, CONNECT_DEADLINE_MS, late, async (signal) => {
      const connecting = Deno.connect({ transport: "unix", path });
      connecting.then((conn) => signal.aborted && conn.close(), () => {});
      return await abortable(connecting, signal);
    });
  } catch (cause) {
    throw new BootstrapError("unavailable/relay", `The front cannot reach the signer or InitServer at ${path}`, {
      cause,
    });
  }
}

/** A word to the process behind that this one listens. Disposing takes it back. */
export interface AnnouncedListener extends Disposable {
  /** Settles when the process behind is gone. */
  readonly ended: Promise<void>;
}

/**
 * Tells the process behind on which port this one listens.
 *
 * @throws {BootstrapError} `unavailable/relay`.
 */
export async function announceListening(path: string, port: number): Promise<AnnouncedListener> {
  const conn = await connectRelay(path);
  const connection = new FrameConnection<BackFrame, FrontFrame>({
    ...{ conn, incoming: BACK_FRAMES, outgoing: FRONT_FRAMES, limits: { message: 0, document: 0 } },
  });
  await connection.write({ kind: "listening", port });
  return {
    ended: connection.next().then(() => {}, () => {}),
    [Symbol.dispose]: () => connection[Symbol.dispose](),
  };
}

/** The service with messages as bytes: the front does not read them. */
function rawService(service: ServiceDefinition): ServiceDefinition {
  return Object.fromEntries(
    Object.entries(service).map(([name, method]) => [name, {
      ...method,
      requestDeserialize: (bytes: Uint8Array): RawEnvelope => ({ message: { $case: "bytes", bytes } }),
      requestSerialize: serialize,
      responseDeserialize: (bytes: Uint8Array): RawEnvelope => ({ message: { $case: "bytes", bytes } }),
      responseSerialize: serialize,
    }]),
  );
}

function serialize({ message }: RawEnvelope): Buffer {
  return Buffer.from(message?.bytes ?? new Uint8Array());
}

type Connection = FrameConnection<BackFrame, FrontFrame>;

/** Passes one exchange on, until either end leaves. */
async function passOn(
  { exchange, trustPeer }: Session<RawEnvelope, RawEnvelope>,
  { path, serviceNumber }: FrontOptions,
): Promise<void> {
  const conn = await connectRelay(path);
  using connection: Connection = new FrameConnection<BackFrame, FrontFrame>({
    ...{ conn, incoming: BACK_FRAMES, outgoing: FRONT_FRAMES },
    limits: { message: MAXIMUM_MESSAGE_LENGTH, document: 0 },
  });
  let isSilent = false;
  const silence = () => {
    isSilent = true;
    connection[Symbol.dispose]();
  };
  let passing = Promise.resolve();
  let timer: ReturnType<typeof setTimeout>;
  // What the front hangs up ends behind it too. A peer may end with its last message, which goes first.
  const leave = () => void passing.then(() => exchange.hasUnread ? undefined : connection[Symbol.dispose]());
  using _leaving = onAbort(exchange.closed, () => {
    clearTimeout(timer);
    timer = setTimeout(silence, LAST_MESSAGE_MS);
    leave();
  });
  const { binding, peerAddress: peer } = exchange;
  await connection.write({ kind: "exchange", service: serviceNumber, binding, peer });
  timer = setTimeout(silence, SILENCE_MS);
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  try {
    for (;;) {
      const frame = await Promise.race([connection.next(), failure.promise]);
      const { aborted: hasEnded } = exchange.closed;
      // The process behind says why in its log.
      if (hasEnded && frame?.kind !== "await") return;
      if (frame === undefined) throw behindGone(isSilent);
      if (!hasEnded) {
        clearTimeout(timer);
        timer = setTimeout(silence, SILENCE_MS);
      }
      switch (frame.kind) {
        case "await":
          passing = passMessage(exchange, connection).catch((error) => failure.reject(asBootstrapError(error)));
          if (hasEnded) leave();
          break;
        case "message":
          await exchange.send({ message: { $case: "bytes", bytes: frame.bytes } }).catch((error) => {
            // The peer may have answered before this process hears that it has the message.
            if (!exchange.closed.aborted) throw error;
          });
          break;
        case "trusted":
          trustPeer();
          break;
        case "alive":
          break;
        case "ended":
          return;
        case "refused":
          throw new RelayedRefusal(frame);
        case "fetch":
          throw new BootstrapError("malformed/relay-frame", "An exchange has no errands");
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Passes the peer's next message on. */
async function passMessage(
  exchange: Session<RawEnvelope, RawEnvelope>["exchange"],
  connection: Connection,
): Promise<void> {
  const bytes = await exchange.receive("bytes", LONGEST_WAIT_MS);
  await connection.write({ kind: "message", bytes: new Uint8Array(bytes) });
}

function behindGone(isSilent: boolean): BootstrapError {
  const message = isSilent
    ? `The front heard nothing from the signer or InitServer for ${SILENCE_MS / 1000} s`
    : "The front has lost the signer or InitServer";
  return new BootstrapError("unavailable/relay", message, { next: "Ask again", retryAfterSeconds: 5 });
}
