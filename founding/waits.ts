/**
 * What a ceremony waits for, said again and again.
 *
 * @module
 */
import type { Clock } from "../platform/clock.ts";
import { type BootstrapError, sentenceOf } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import type { Waiting } from "./ceremony_parts.ts";

/** What {@linkcode Waits} needs. */
export interface WaitsParts {
  readonly clock: Pick<Clock, "now" | "monotonicMs">;
  /** Between two lines, milliseconds. */
  readonly lineMs: number;
  readonly onWaiting?: ((line: string, waiting: Waiting) => void) | undefined;
}

/** Keeps what is waited for, since when, and the last error. */
export class Waits {
  readonly #parts: WaitsParts;
  #now: Waiting | undefined;
  #saidMs: number;

  /** Waits for nothing yet. */
  constructor(parts: WaitsParts) {
    this.#parts = parts;
    this.#saidMs = parts.clock.monotonicMs();
  }

  /** What is waited for now. */
  get now(): Waiting | undefined {
    return this.#now;
  }

  /** Waits for something. The same as before goes on being waited for since then. A line is said when it is time. */
  set(phase: Waiting["phase"], what: string, from: readonly string[], error?: BootstrapError): void {
    const { clock, lineMs, onWaiting } = this.#parts;
    const before = this.#now;
    const isSame = before?.phase === phase && before.what === what && before.from.join() === from.join();
    const since = isSame ? before.since : clock.now();
    this.#now = { phase, what, from, since, ...present("lastError", error) };
    if (clock.monotonicMs() - this.#saidMs < lineMs) return;
    this.#saidMs = clock.monotonicMs();
    onWaiting?.(lineOf(this.#now), this.#now);
  }
}

/** One line for people. */
export function lineOf({ what, from, since, lastError }: Waiting): string {
  const who = from.length === 0 ? "" : ` from ${from.join(", ")}`;
  const why = lastError === undefined ? "" : `; last error: ${sentenceOf(lastError)}`;
  return `Founding waits for ${what}${who} since ${since.toISOString()}${why}`;
}
