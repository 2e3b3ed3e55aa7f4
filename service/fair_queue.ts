/**
 * A bound on the work that is done at once for peers that are not verified yet.
 *
 * @module
 */
import { onAbort } from "../platform/abortable.ts";
import { BootstrapError } from "../platform/errors.ts";

/** The bounds of a {@linkcode FairQueue}. */
export interface FairQueueOptions {
  /** How many pieces of work run at once. */
  readonly maximumActive: number;
  /** How many may wait. More are refused. */
  readonly maximumWaiting: number;
  /** What a refused peer is told: a sentence without a full stop. */
  readonly full: string;
}

/** After how many seconds a refused peer may ask again. A full queue is worked off by then. */
const BUSY_RETRY_SECONDS = 5;

interface Waiting {
  readonly start: () => void;
  readonly refuse: (error: BootstrapError) => void;
}

/**
 * Runs work in turn: a few pieces at once, some wait, and the rest is refused. Each part of the network gets its turn,
 * however much another part asks for. When too many wait, the part with the most waiting loses one.
 */
export class FairQueue {
  readonly #options: FairQueueOptions;
  /** The waiting work by part of the network. The next is the first of the first part. */
  readonly #waiting = new Map<string, Set<Waiting>>();
  #waitingCount = 0;
  #active = 0;

  /** Creates an empty queue. */
  constructor(options: FairQueueOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` when it is its turn.
   *
   * @param gone Aborts when the peer is gone, which then loses its place.
   * @param group The part of the network that asks, from `peerGroup()`.
   * @throws {BootstrapError} `unavailable/busy` with `retryAfterSeconds` if too many wait, the reason why the peer is
   *   gone, or what `work` throws.
   */
  async run<T>(work: () => Promise<T>, gone: AbortSignal, group: string): Promise<T> {
    gone.throwIfAborted();
    if (this.#active >= this.#options.maximumActive) await this.#wait(gone, group);
    else this.#active++;
    try {
      gone.throwIfAborted();
      return await work();
    } finally {
      // The place passes on to the next directly, so no newcomer can take it in between.
      const next = this.#next();
      if (next === undefined) this.#active--;
      else next.start();
    }
  }

  async #wait(gone: AbortSignal, group: string): Promise<void> {
    if (this.#waitingCount >= this.#options.maximumWaiting && !this.#makeRoom(group)) throw busy(this.#options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { start: resolve, refuse: reject };
    this.#add(group, waiting);
    using _leaving = onAbort(gone, () => {
      this.#remove(group, waiting);
      reject(gone.reason);
    });
    await promise;
  }

  #add(group: string, waiting: Waiting): void {
    const queue = this.#waiting.get(group) ?? new Set();
    this.#waiting.set(group, queue.add(waiting));
    this.#waitingCount++;
  }

  #remove(group: string, waiting: Waiting): void {
    const queue = this.#waiting.get(group);
    if (queue?.delete(waiting)) this.#waitingCount--;
    if (queue?.size === 0) this.#waiting.delete(group);
  }

  /** Removes the next work from the queue. Its part of the network goes to the end of the line. */
  #next(): Waiting | undefined {
    for (const [group, queue] of this.#waiting) {
      for (const waiting of queue) {
        this.#remove(group, waiting);
        if (this.#waiting.delete(group)) this.#waiting.set(group, queue);
        return waiting;
      }
    }
    return undefined;
  }

  /** Refuses the last work of the largest part of the network, if that part has more than the newcomer's would have. */
  #makeRoom(newcomer: string): boolean {
    const sizeOf = (group: string) => this.#waiting.get(group)?.size ?? 0;
    const largest = [...this.#waiting.keys()].reduce((a, b) => sizeOf(b) > sizeOf(a) ? b : a, newcomer);
    if (sizeOf(largest) <= sizeOf(newcomer) + 1) return false;
    const last = [...this.#waiting.get(largest) ?? []].at(-1);
    if (last === undefined) return false;
    this.#remove(largest, last);
    last.refuse(busy(this.#options));
    return true;
  }
}

function busy({ full }: FairQueueOptions): BootstrapError {
  return new BootstrapError("unavailable/busy", full, {
    next: "Ask again in a few seconds",
    retryAfterSeconds: BUSY_RETRY_SECONDS,
  });
}
