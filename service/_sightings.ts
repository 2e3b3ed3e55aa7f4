import type { Clock } from "../platform/clock.ts";

/** A mark as it was seen, and since when it has been the same. */
interface Sighting {
  readonly stampMs: number;
  readonly sinceMs: number;
}

/**
 * The least age of marks that other machines have left.
 *
 * As in client-go's leader election, a machine trusts only how long it has itself seen a mark unchanged, by its own
 * monotonic clock. Clocks of two machines may be far apart, and what ends by age is taken from another node. So a service
 * that has just started counts from its start.
 */
export class Sightings {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #seen = new Map<string, Sighting>();

  /** Creates sightings without any mark. */
  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /**
   * The least age of a mark, milliseconds; never more than its true age.
   *
   * @param key Names the mark.
   * @param stampMs The mark's time now, milliseconds since 1970 by any clock: only its changes count.
   */
  ageMs(key: string, stampMs: number): number {
    const nowMs = this.#clock.monotonicMs();
    const before = this.#seen.get(key);
    const sinceMs = before?.stampMs === stampMs ? before.sinceMs : nowMs;
    this.#seen.set(key, { stampMs, sinceMs });
    return nowMs - sinceMs;
  }

  /** Forgets all marks but these. */
  keepOnly(keys: readonly string[]): void {
    this.#seen = new Map([...this.#seen].filter(([key]) => keys.includes(key)));
  }
}
