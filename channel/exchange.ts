/**
 * One exchange of messages, in order, on the only stream of its connection.
 *
 * @module
 */
import { onAbort } from "../platform/abortable.ts";
import type { Bytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";

/** The largest message of an Init, bytes. It fits two YAML documents. */
export const MAXIMUM_MESSAGE_LENGTH = 256 * 1024;

/** A generated message with one `oneof` named `message`. */
export interface Envelope {
  /** The one field that is set. */
  message: { $case: string } | undefined;
}

/** The names of an envelope's fields. */
export type Kind<E extends Envelope> = NonNullable<E["message"]>["$case"];

/** The payload of an envelope's field. */
export type Payload<E extends Envelope, K extends Kind<E>> = Extract<NonNullable<E["message"]>, { $case: K }> extends
  infer M ? K extends keyof M ? M[K] : never : never;

/** The part of a gRPC stream that an {@linkcode Exchange} uses, at either end. */
export interface MessageStream<Incoming, Outgoing> {
  /** `data`: one message; `end`: the peer half-closed; `error`, `cancelled`: the call ended. */
  on(event: "data", listener: (message: Incoming) => void): unknown;
  /** The peer half-closed the stream, or the call ended. */
  on(event: "end" | "cancelled" | "close", listener: () => void): unknown;
  /** The call failed. */
  on(event: "error", listener: (error: Error) => void): unknown;
  /** Stops reading from the peer. */
  pause(): unknown;
  /** Resumes reading. */
  resume(): unknown;
  /** Sends one message. */
  write(message: Outgoing, callback?: (error?: Error | null) => void): boolean;
}

/** How long a peer may take to accept a message. It could keep the stream's window closed for ever. */
const SEND_DEADLINE_MS = 15_000;

/** One exchange, as both ends see it. */
export class Exchange<Incoming extends Envelope, Outgoing extends Envelope> {
  /** CB of the connection, 32 bytes. */
  readonly binding: Bytes;
  /** The peer's network address, for logs. It proves nothing. */
  readonly peerAddress: string;
  /** Aborts, with the reason, when the peer or the connection is gone. */
  readonly closed: AbortSignal;

  readonly #stream: MessageStream<Incoming, Outgoing>;
  readonly #closing = new AbortController();
  readonly #queue: Incoming[] = [];
  #wake: (() => void) | undefined;
  #awaitedSinceMs: number | undefined;
  #awaitedKinds: readonly Kind<Incoming>[] = [];
  #received = 0;

  /**
   * Wraps a stream.
   *
   * @param stream The gRPC stream.
   * @param binding CB of its connection.
   * @param peerAddress The peer's address, for logs.
   * @param translate Turns an error of the stream into a readable one.
   */
  constructor(
    stream: MessageStream<Incoming, Outgoing>,
    binding: Bytes,
    peerAddress: string,
    translate: (error: Error) => BootstrapError,
  ) {
    this.#stream = stream;
    this.binding = binding;
    this.peerAddress = peerAddress;
    this.closed = this.#closing.signal;
    stream.on("data", (message) => {
      this.#queue.push(message);
      this.#received++;
      stream.pause();
      this.#wake?.();
    });
    const gone = () => this.close(new BootstrapError("unavailable/peer-gone", "The peer closed the connection"));
    stream.on("end", gone);
    stream.on("cancelled", gone);
    stream.on("close", gone);
    stream.on("error", (error) => this.close(translate(error)));
  }

  /** The time by `performance.now()` since which the peer's next message is awaited; `undefined` while none is. */
  get awaitedSinceMs(): number | undefined {
    return this.#awaitedSinceMs;
  }

  /** Whether a message of the kind is awaited now. */
  isAwaiting(kind: Kind<Incoming>): boolean {
    return this.#awaitedSinceMs !== undefined && this.#awaitedKinds.includes(kind);
  }

  /** The kinds of messages of which the next must be one, or the last was one. */
  get awaitedKinds(): readonly Kind<Incoming>[] {
    return this.#awaitedKinds;
  }

  /** Whether a message has arrived that nobody has received yet. It can be received after the end. */
  get hasUnread(): boolean {
    return this.#queue.length > 0;
  }

  /** The number of received messages. */
  get received(): number {
    return this.#received;
  }

  /** Ends the exchange. The first reason stays. */
  close(reason: BootstrapError): void {
    if (!this.closed.aborted) this.#closing.abort(reason);
    this.#wake?.();
  }

  /**
   * Waits for the next message, which must be of the given kind.
   *
   * @param kind The only kind that may come now.
   * @param deadlineMs The time limit in milliseconds. The connection of a silent peer is closed.
   * @throws {BootstrapError} `protocol/order`, `timeout/peer`, or the reason why the exchange ended.
   */
  async receive<K extends Kind<Incoming>>(kind: K, deadlineMs: number): Promise<Payload<Incoming, K>> {
    const { kind: seen, payload } = await this.receiveAny([kind], deadlineMs);
    if (seen !== kind) throw this.#outOfOrder(seen, [kind]);
    return payload as Payload<Incoming, K>;
  }

  /** Like {@linkcode receive}, for more than one possible kind. */
  async receiveAny<K extends Kind<Incoming>>(
    kinds: readonly K[],
    deadlineMs: number,
  ): Promise<{ [P in K]: { readonly kind: P; readonly payload: Payload<Incoming, P> } }[K]> {
    this.#awaitedKinds = kinds;
    const envelope = await this.#nextEnvelope(deadlineMs);
    const { message } = envelope;
    const kind = kinds.find((candidate) => candidate === message?.$case);
    if (message === undefined || kind === undefined) throw this.#outOfOrder(message?.$case ?? "nothing", kinds);
    const payload = (message as Record<string, unknown>)[kind];
    return { kind, payload } as { [P in K]: { kind: P; payload: Payload<Incoming, P> } }[K];
  }

  /**
   * Sends one message. If the peer does not accept it in time, the exchange ends.
   *
   * @throws {BootstrapError} `timeout/peer`, or the reason why the exchange ended.
   */
  send(message: Outgoing): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.closed.aborted) return reject(this.closed.reason);
      const timer = setTimeout(() => {
        this.close(new BootstrapError("timeout/peer", `The peer accepted nothing for ${SEND_DEADLINE_MS / 1000} s`));
      }, SEND_DEADLINE_MS);
      const stopping = onAbort(this.closed, () => {
        clearTimeout(timer);
        reject(this.closed.reason);
      });
      this.#stream.write(message, (error) => {
        clearTimeout(timer);
        stopping[Symbol.dispose]();
        if (error) reject(new BootstrapError("unavailable/peer-gone", "Cannot send to the peer", { cause: error }));
        else resolve();
      });
    });
  }

  async #nextEnvelope(deadlineMs: number): Promise<Incoming> {
    if (this.#queue.length === 0 && !this.closed.aborted) {
      this.#stream.resume();
      this.#awaitedSinceMs = performance.now();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadlineMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
      this.#awaitedSinceMs = undefined;
    }
    const envelope = this.#queue.shift();
    if (envelope !== undefined) return envelope;
    if (this.closed.aborted) throw this.closed.reason;
    throw new BootstrapError("timeout/peer", `The peer sent nothing for ${deadlineMs / 1000} s`);
  }

  #outOfOrder(seen: string, expected: readonly string[]): BootstrapError {
    return new BootstrapError("protocol/order", `Expected the message "${expected.join('" or "')}", not "${seen}"`);
  }
}
