/**
 * Whether a founder could begin an init: its checks take seconds, and the ceremony asks each second.
 *
 * @module
 */
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError } from "../platform/errors.ts";

/** How long a good answer is believed, milliseconds. The checks run again before anything is staged. */
const GOOD_FOR_MS = 5 * 60_000;
/** How long a bad answer is believed, milliseconds. */
const BAD_FOR_MS = 10_000;

/** What {@linkcode Readiness} needs. */
export interface ReadinessParts {
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Runs all checks. It throws the reason why this node could not begin an init. */
  check(): Promise<void>;
  /** Called with what is wrong, sentences for people, when that has changed. */
  onHindrances(hindrances: readonly string[]): void;
}

/** Remembers the last answer for a while. */
export class Readiness {
  readonly #parts: ReadinessParts;
  #hindrances: readonly string[] = [];
  #until = -Infinity;

  /** Asks nothing yet. */
  constructor(parts: ReadinessParts) {
    this.#parts = parts;
  }

  /** What was wrong when it was asked last, sentences for people. */
  get hindrances(): readonly string[] {
    return this.#hindrances;
  }

  /** Whether an init could begin. */
  async isReady(): Promise<boolean> {
    const { clock, check, onHindrances } = this.#parts;
    if (clock.monotonicMs() < this.#until) return this.#hindrances.length === 0;
    const hindrances = await check().then(() => [], (error) => [asBootstrapError(error).message]);
    this.#until = clock.monotonicMs() + (hindrances.length === 0 ? GOOD_FOR_MS : BAD_FOR_MS);
    if (hindrances.join() !== this.#hindrances.join()) onHindrances(hindrances);
    this.#hindrances = hindrances;
    return hindrances.length === 0;
  }
}
