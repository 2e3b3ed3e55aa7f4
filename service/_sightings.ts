import type { Clock } from "../platform/clock.ts";
import { MAXIMUM_CLOCK_SKEW_MS } from "../platform/clock_skew.ts";

/** A mark as it was seen, and since when it has been the same. */
interface Sighting {
  readonly stampMs: number;
  readonly sinceMs: number;
}

/**
 * The least age of marks that other machines have left, each with a time of its own clock.
 *
 * As in client-go's leader election, a machine trusts how long it has seen a mark unchanged, by its own monotonic
 * clock. It also takes the mark's own time, so that a restarted machine need not wait from the start. For that it
 * assumes that its clock and the other machine's are as far apart as clocks may be.
 */
export class Sightings {
  readonly #clock: Pick<Clock, "now" | "monotonicMs">;
  #seen = new Map<string, Sighting>();

  /** Creates sightings without any mark. */
  constructor(clock: Pick<Clock, "now" | "monotonicMs">) {
    this.#clock = clock;
  }

  /**
   * The least age of a mark, milliseconds; never more than its true age.
   *
   * @param key Names the mark.
   * @param stampMs The mark's time now, milliseconds since 1970.
   */
  ageMs(key: string, stampMs: number): number {
    const nowMs = this.#clock.monotonicMs();
    const before = this.#seen.get(key);
    const sinceMs = before?.stampMs === stampMs ? before.sinceMs : nowMs;
    this.#seen.set(key, { stampMs, sinceMs });
    return Math.max(nowMs - sinceMs, this.#clock.now().getTime() - stampMs - MAXIMUM_CLOCK_SKEW_MS);
  }

  /** Forgets all marks but these. */
  keepOnly(keys: readonly string[]): void {
    this.#seen = new Map([...this.#seen].filter(([key]) => keys.includes(key)));
  }
}
