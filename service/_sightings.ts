import type { Clock } from "../platform/clock.ts";
import { MAXIMUM_CLOCK_SKEW_MS } from "../platform/clock_skew.ts";

/** What was seen, and since when it has been the same. */
interface Sighting {
  readonly stampMs: number;
  readonly sinceMs: number;
}

/**
 * How old marks are at the least that other machines have left, each with a time of its own clock.
 *
 * As client-go's leader election does, a machine trusts how long it has seen a mark unchanged, by its own monotonic clock. So that
 * a machine that was started anew need not wait from the start, it also takes the mark's own time, but as if its clock and the
 * other's were as far apart as clocks may be.
 */
export class Sightings {
  readonly #clock: Pick<Clock, "now" | "monotonicMs">;
  #seen = new Map<string, Sighting>();

  /** Nothing was seen yet. */
  constructor(clock: Pick<Clock, "now" | "monotonicMs">) {
    this.#clock = clock;
  }

  /**
   * The least age of a mark, milliseconds; never more than its true one.
   *
   * @param key Which mark.
   * @param stampMs What it says now, milliseconds since 1970.
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
