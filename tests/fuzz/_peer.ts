/**
 * A peer that sends the messages of an input, one by one, over the program's own exchange.
 *
 * @module
 */
import { Exchange } from "../../channel/exchange.ts";
import type { Envelope, MessageStream } from "../../channel/exchange.ts";
import { copyOf } from "../../platform/bytes.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";

/** The channel binding of every connection with this peer. */
export const BINDING: Bytes = new Uint8Array(32).fill(0xcb);

/** A generated message type. */
export interface MessageType<T> {
  /** Decodes a message; throws what protobuf's reader throws. */
  decode(bytes: Uint8Array): T;
  encode(message: T): { finish(): Uint8Array };
}

/** The behaviour of the peer. */
export interface PeerOptions<Incoming, Outgoing> {
  /** The type of the messages that the peer sends. */
  readonly incoming: MessageType<Incoming>;
  /** The type of the messages that the peer receives. */
  readonly outgoing: MessageType<Outgoing>;
  /** The encoded messages that the peer sends. */
  readonly script: readonly Bytes[];
  /** Called with each message that the peer receives. */
  readonly hear?: (message: Outgoing) => void;
  /** Signs a message if the input left the signature empty: the peer has its own keys. */
  readonly sign?: (message: Incoming) => Promise<Incoming>;
}

/** Returns an exchange with such a peer. The peer ends the stream after its last message. */
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
      // gRPC then ends the stream with a status.
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
