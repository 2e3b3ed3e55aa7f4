/**
 * A peer that sends what an input says, message by message, over the program's own exchange.
 *
 * @module
 */
import { Exchange } from "../../channel/exchange.ts";
import type { Envelope, MessageStream } from "../../channel/exchange.ts";
import { copyOf } from "../../platform/bytes.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";

/** The channel binding of every such connection. */
export const BINDING: Bytes = new Uint8Array(32).fill(0xcb);

/** A generated message type. */
export interface MessageType<T> {
  /** Reads one; throws whatever protobuf's reader throws. */
  decode(bytes: Uint8Array): T;
  /** Writes one. */
  encode(message: T): { finish(): Uint8Array };
}

/** How the peer behaves. */
export interface PeerOptions<Incoming, Outgoing> {
  /** The type of what it sends. */
  readonly incoming: MessageType<Incoming>;
  /** The type of what it receives. */
  readonly outgoing: MessageType<Outgoing>;
  /** What it sends, encoded. */
  readonly script: readonly Bytes[];
  /** Hears what it is told. */
  readonly hear?: (message: Outgoing) => void;
  /** Signs what it sends, where the input left that open: a peer has its own keys. */
  readonly sign?: (message: Incoming) => Promise<Incoming>;
}

/** An exchange with such a peer, which leaves when it has said everything. */
export function exchangeWith<Incoming extends Envelope, Outgoing extends Envelope>(
  options: PeerOptions<Incoming, Outgoing>,
): Exchange<Incoming, Outgoing> {
  const { incoming, outgoing, hear, sign = (message) => Promise.resolve(message) } = options;
  const script = [...options.script];
  const listeners = new Map<string, (value: never) => void>();
  const tell = (event: string, value: unknown) => listeners.get(event)?.(value as never);
  const next = async () => {
    const bytes = script.shift();
    if (bytes === undefined) return tell("end", undefined);
    let message: Incoming;
    try {
      message = incoming.decode(bytes);
    } catch (error) {
      // gRPC ends the stream with a status then.
      return tell("error", error);
    }
    tell("data", await sign(message));
  };
  const stream: MessageStream<Incoming, Outgoing> = {
    on(event: string, listener: (value: never) => void) {
      listeners.set(event, listener);
    },
    pause() {},
    resume() {
      queueMicrotask(next);
    },
    write(message, callback) {
      hear?.(outgoing.decode(copyOf(outgoing.encode(message).finish())));
      queueMicrotask(() => callback?.());
      return true;
    },
  };
  const gone = (cause: Error) => new BootstrapError("unavailable/peer-gone", "The connection failed", { cause });
  return new Exchange(stream, BINDING, "192.0.2.1:1", gone);
}
