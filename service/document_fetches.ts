/**
 * Fetches the documents that verifications lack: few at once, for each part of the network in turn, and with a budget
 * for those that bring nothing.
 *
 * A stranger can forge evidence that names a document. What it then costs is a place among the fetches, never one among
 * the verifications.
 *
 * @module
 */
import type { CollateralWanted } from "../attestation/collateral_wanted.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { Recent } from "../platform/recent.ts";
import { FairQueue } from "./fair_queue.ts";

/** A fetch is a document or a few, from a server that may take seconds. */
const QUEUE = {
  ...{ maximumActive: 8, maximumWaiting: 512 },
  full: "The join service already fetches as many documents as it can",
};
/** How many fetches without a result a part of the network has at once, and how long it takes to get one back. */
const BUDGET = 8;
const REFILL_MS = 10_000;
/** How many parts of the network are remembered. An older one has its whole budget again. */
const MAXIMUM_GROUPS = 4096;

/** What a part of the network has spent, and when. */
interface Spent {
  readonly count: number;
  readonly atMs: number;
}

/** The fetches of a service. */
export class DocumentFetches {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #queue = new FairQueue(QUEUE);
  readonly #spent = new Recent<Spent>({ ageMs: BUDGET * REFILL_MS, maximum: MAXIMUM_GROUPS });

  /** Starts with full budgets. */
  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /**
   * Fetches what a verification wants. Returns also if a document cannot be had: the next verification says so.
   *
   * @param wanted The end of the verification.
   * @param gone Aborts when the peer is gone.
   * @param group The part of the network that asks, from `peerGroup()`.
   * @throws {BootstrapError} `unavailable/busy` if the part has no budget left, or too many wait; the reason why the
   *   peer is gone.
   */
  async obtain({ documents }: CollateralWanted, gone: AbortSignal, group: string): Promise<void> {
    await this.#queue.run(
      async () => {
        if (this.#spentBy(group) >= BUDGET) throw noBudget();
        // Spent before the answer is there: a slow server must not make a budget endless.
        this.#spend(group, 1);
        const found = await Promise.all(documents.map(({ fetch }) => fetch().catch(() => false)));
        if (found.every(Boolean)) this.#spend(group, -1);
      },
      gone,
      group,
    );
  }

  #spentBy(group: string): number {
    const nowMs = this.#clock.monotonicMs();
    const { count, atMs } = this.#spent.get(group, nowMs) ?? { count: 0, atMs: nowMs };
    return Math.max(0, count - Math.floor((nowMs - atMs) / REFILL_MS));
  }

  #spend(group: string, count: number): void {
    const spent = Math.max(0, this.#spentBy(group) + count);
    const nowMs = this.#clock.monotonicMs();
    if (spent > 0) this.#spent.set(group, { count: spent, atMs: nowMs }, nowMs);
    else this.#spent.delete(group);
  }
}

function noBudget(): BootstrapError {
  return new BootstrapError("unavailable/busy", "Too many documents of this network could not be fetched", {
    next: "Check the collateral cache of the policy: it lacks documents about these machines",
    retryAfterSeconds: 10,
  });
}
