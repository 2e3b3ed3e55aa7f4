import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { Recent } from "../platform/recent.ts";

/** How often this machine makes evidence for one peer, milliseconds. */
export const EVIDENCE_INTERVAL_MS = 10_000;
const MAXIMUM_PEERS = 1_024;

/**
 * Bounds the evidence that this machine makes: a TPM takes seconds for a piece, and peers share it with everything else
 * on the machine.
 */
export class EvidenceRate {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #made = new Recent<number>({ ageMs: EVIDENCE_INTERVAL_MS, maximum: MAXIMUM_PEERS });

  /** Starts without evidence made. */
  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** How long until evidence may be made for a peer, milliseconds. */
  waitMs(peer: string): number {
    const nowMs = this.#clock.monotonicMs();
    const madeMs = this.#made.get(peer, nowMs);
    return madeMs === undefined ? 0 : madeMs + EVIDENCE_INTERVAL_MS - nowMs;
  }

  /**
   * Notes that evidence is made for a peer now.
   *
   * @param peer The address that is dialled, or the identity of a peer that was verified.
   * @throws {BootstrapError} `unavailable/founder-busy` with `retryAfterSeconds` if it was made a moment ago.
   */
  take(peer: string): void {
    const waitMs = this.waitMs(peer);
    if (waitMs > 0) {
      const message = "This founder has made evidence for the same peer a moment ago";
      throw new BootstrapError("unavailable/founder-busy", message, { retryAfterSeconds: Math.ceil(waitMs / 1000) });
    }
    const nowMs = this.#clock.monotonicMs();
    this.#made.set(peer, nowMs, nowMs);
  }
}
