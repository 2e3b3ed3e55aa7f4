/**
 * One exchange of messages, in order, on the only stream of its connection.
 *
 * @module
 */
import { onAbort } from "../platform/abortable.ts";
import type { Bytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";

/** A generated message with one `oneof` named `message`. */
export interface Envelope {
  /** The one field that is set. */
  message: { $case: string } | undefined;
}

/** The names of an envelope's fields. */
export type Kind<E extends Envelope> = NonNullable<E["message"]>["$case"];

/** What an envelope's field of a name holds. */
export type Payload<E extends Envelope, K extends Kind<E>> = Extract<NonNullable<E["message"]>, { $case: K }> extends
  infer M ? K extends keyof M ? M[K] : never : never;

/** What an {@linkcode Exchange} needs of a gRPC stream, at either end. */
export interface MessageStream<Incoming, Outgoing> {
  /** `data`: one message; `end`: the peer half-closed; `error`, `cancelled`: the call ended. */
  on(event: "data", listener: (message: Incoming) => void): unknown;
  /** The peer sends no more. */
  on(event: "end" | "cancelled" | "close", listener: () => void): unknown;
  /** The call failed. */
  on(event: "error", listener: (error: Error) => void): unknown;
  /** Stops reading from the peer. */
  pause(): unknown;
  /** Goes on reading. */
  resume(): unknown;
  /** Sends one message. */
  write(message: Outgoing, callback?: (error?: Error | null) => void): boolean;
}

/** How long a peer may leave a message with us: it may close the stream's window for ever. */
const SEND_DEADLINE_MS = 15_000;

/** Both ends' view of one exchange. */
export class Exchange<Incoming extends Envelope, Outgoing extends Envelope> {
  /** CB of the connection, 32 bytes. */
  readonly binding: Bytes;
  /** The peer's network address, for logs; proves nothing. */
  readonly peerAddress: string;
  /** Aborted, with the reason, when the peer or the connection is gone. */
  readonly closed: AbortSignal;

  readonly #stream: MessageStream<Incoming, Outgoing>;
  readonly #closing = new AbortController();
  readonly #queue: Incoming[] = [];
  #wake: (() => void) | undefined;
  #awaitedSinceMs: number | undefined;
  #received = 0;

  /**
   * Wraps a stream.
   *
   * @param stream The gRPC stream.
   * @param binding CB of its connection.
   * @param peerAddress For logs.
   * @param translate Turns the stream's error into one that people can read.
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

  /** Since when the peer's next message is waited for, by `performance.now()`, unless something else is done. */
  get awaitedSinceMs(): number | undefined {
    return this.#awaitedSinceMs;
  }

  /** How many messages came. */
  get received(): number {
    return this.#received;
  }

  /** Marks the exchange as over; the first reason stays. */
  close(reason: BootstrapError): void {
    if (!this.closed.aborted) this.#closing.abort(reason);
    this.#wake?.();
  }

  /**
   * The next message, which must be of the given kind.
   *
   * @param kind The only kind that is in order now.
   * @param deadlineMs After so many milliseconds a silent peer is cut off.
   * @throws {BootstrapError} `protocol/order`, `timeout/peer`, or why the exchange is over.
   */
  async receive<K extends Kind<Incoming>>(kind: K, deadlineMs: number): Promise<Payload<Incoming, K>> {
    const { kind: seen, payload } = await this.receiveAny([kind], deadlineMs);
    if (seen !== kind) throw this.#outOfOrder(seen, [kind]);
    return payload as Payload<Incoming, K>;
  }

  /** {@linkcode receive} where more than one kind is in order. */
  async receiveAny<K extends Kind<Incoming>>(
    kinds: readonly K[],
    deadlineMs: number,
  ): Promise<{ [P in K]: { readonly kind: P; readonly payload: Payload<Incoming, P> } }[K]> {
    const envelope = await this.#nextEnvelope(deadlineMs);
    const { message } = envelope;
    const kind = kinds.find((candidate) => candidate === message?.$case);
    if (message === undefined || kind === undefined) throw this.#outOfOrder(message?.$case ?? "nothing", kinds);
    const payload = (message as Record<string, unknown>)[kind];
    return { kind, payload } as { [P in K]: { kind: P; payload: Payload<Incoming, P> } }[K];
  }

  /**
   * Sends one message. A peer that does not take it in time is cut off.
   *
   * @throws {BootstrapError} `timeout/peer`, or why the exchange is over.
   */
  send(message: Outgoing): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.closed.aborted) return reject(this.closed.reason);
      const timer = setTimeout(() => {
        this.close(new BootstrapError("timeout/peer", `The peer took nothing for ${SEND_DEADLINE_MS / 1000} s`));
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
