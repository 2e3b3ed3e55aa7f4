/**
 * A bound on how many peers' evidence is verified at once.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";

/** The bounds of a {@linkcode VerificationQueue}. */
export interface VerificationQueueOptions {
  /** How much work is done at once. */
  readonly maximumActive: number;
  /** How many may wait; more are refused. */
  readonly maximumWaiting: number;
}

const RETRY_HINT = "Ask again in a few seconds";

/** Work in turn: a few at once, some waiting, the rest refused. */
export class VerificationQueue {
  readonly #options: VerificationQueueOptions;
  readonly #waiting: (() => void)[] = [];
  #active = 0;

  /** Empty. */
  constructor(options: VerificationQueueOptions) {
    this.#options = options;
  }

  /**
   * Does `work` when it is its turn.
   *
   * @param gone Whoever is gone loses its place.
   * @throws {BootstrapError} `unavailable/busy` if too many wait, why the peer is gone, or what `work` throws.
   */
  async run<T>(work: () => Promise<T>, gone: AbortSignal): Promise<T> {
    gone.throwIfAborted();
    if (this.#active >= this.#options.maximumActive) await this.#wait(gone);
    else this.#active++;
    try {
      gone.throwIfAborted();
      return await work();
    } finally {
      // The place passes on to the next, so nobody can come in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#active--;
      else next();
    }
  }

  async #wait(gone: AbortSignal): Promise<void> {
    if (this.#waiting.length >= this.#options.maximumWaiting) {
      throw new BootstrapError("unavailable/busy", "The join service is verifying as many nodes as it can", {
        next: RETRY_HINT,
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = () => {
      const place = this.#waiting.indexOf(resolve);
      if (place >= 0) this.#waiting.splice(place, 1);
      reject(gone.reason);
    };
    this.#waiting.push(resolve);
    gone.addEventListener("abort", leave, { once: true });
    try {
      await promise;
    } finally {
      gone.removeEventListener("abort", leave);
    }
  }
}
