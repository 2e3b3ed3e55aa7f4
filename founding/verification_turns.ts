import { onAbort } from "../platform/abortable.ts";
import { BootstrapError } from "../platform/errors.ts";

/** How many verifications run at once. */
const MAXIMUM_ACTIVE = 4;
/** How many may wait, one of each address. More are refused. */
const MAXIMUM_WAITING = 16;
/** After how many seconds a refused peer may ask again. */
const RETRY_SECONDS = 5;

interface Waiting {
  readonly address: string;
  readonly start: () => void;
}

/** Runs verifications: four at a time, and one for each address. */
export class VerificationTurns {
  readonly #active = new Set<string>();
  readonly #waiting: Waiting[] = [];

  /** The number of verifications that run. */
  get active(): number {
    return this.#active.size;
  }

  /**
   * Runs `work` when it is its turn. It must not wait for the peer.
   *
   * @param address The peer's address. It proves nothing.
   * @param gone Aborts when the peer is gone, which then loses its place.
   * @throws {BootstrapError} `unavailable/founder-busy` if too many wait, the reason why the peer is gone, or what `work`
   *   throws.
   */
  async run<T>(address: string, gone: AbortSignal, work: () => Promise<T>): Promise<T> {
    gone.throwIfAborted();
    if (this.#mayStart(address)) this.#active.add(address);
    else await this.#wait(address, gone);
    try {
      gone.throwIfAborted();
      return await work();
    } finally {
      this.#active.delete(address);
      this.#startNext();
    }
  }

  #mayStart(address: string): boolean {
    return this.#active.size < MAXIMUM_ACTIVE && !this.#active.has(address);
  }

  async #wait(address: string, gone: AbortSignal): Promise<void> {
    const isFull = this.#waiting.length >= MAXIMUM_WAITING;
    if (isFull || this.#waiting.some((other) => other.address === address)) {
      throw new BootstrapError("unavailable/founder-busy", "This founder verifies as many peers as it can", {
        retryAfterSeconds: RETRY_SECONDS,
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { address, start: resolve };
    this.#waiting.push(waiting);
    using _leaving = onAbort(gone, () => {
      const index = this.#waiting.indexOf(waiting);
      if (index < 0) return;
      this.#waiting.splice(index, 1);
      reject(gone.reason);
    });
    await promise;
  }

  /** The place passes on directly, so no newcomer can take it in between. */
  #startNext(): void {
    const index = this.#waiting.findIndex(({ address }) => this.#mayStart(address));
    const [next] = index < 0 ? [] : this.#waiting.splice(index, 1);
    if (next === undefined) return;
    this.#active.add(next.address);
    next.start();
  }
}
