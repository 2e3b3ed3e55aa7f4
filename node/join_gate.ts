/**
 * The gate before the JoinClient. Founders hold it back from the moment that their roster is fixed until they know the
 * cluster that was decided on.
 *
 * @module
 */
import { abortable } from "../platform/abortable.ts";

/** An open gate. */
export interface OpenGate {
  /** The only cluster that may be joined, 32 bytes; absent if any may. */
  readonly only?: Uint8Array;
  /** Aborts when the gate closes, or lets in to another cluster. */
  readonly closed: AbortSignal;
}

/** A gate, open to any cluster at first. */
export class JoinGate {
  #closing = new AbortController();
  #opening = Promise.withResolvers<OpenGate>();

  constructor() {
    this.#opening.resolve({ closed: this.#closing.signal });
  }

  /** Closes the gate. Who has gone through before, and has no lock yet, stops. */
  hold(): void {
    this.#replace();
  }

  /**
   * Opens the gate.
   *
   * @param only The only cluster that may be joined, 32 bytes. Default: any.
   */
  open(only?: Uint8Array): void {
    this.#replace();
    this.#opening.resolve({ closed: this.#closing.signal, ...(only === undefined ? {} : { only }) });
  }

  /**
   * Waits until the gate is open.
   *
   * @throws The signal's reason.
   */
  async whenOpen(signal: AbortSignal): Promise<OpenGate> {
    for (;;) {
      const opening = this.#opening;
      const open = await abortable(opening.promise, signal);
      if (!open.closed.aborted) return open;
    }
  }

  #replace(): void {
    const [closing, opening] = [this.#closing, this.#opening];
    this.#closing = new AbortController();
    this.#opening = Promise.withResolvers();
    closing.abort();
    // Who waits at the gate that was, waits at this one.
    const next = this.#opening;
    next.promise.then(opening.resolve, opening.reject);
  }
}
