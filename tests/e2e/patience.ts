import { measureSlowdown } from "../tools/machine_speed.ts";

/** The clock and the speed measurement that a {@linkcode Patience} uses. */
export interface PatienceClock {
  /** Milliseconds since any fixed moment. */
  readonly nowMs: () => number;
  /** Measures how many times slower this machine is now than the quiet reference machine, at least 1. */
  readonly measureSlowdown: () => Promise<number>;
}

const realClock: PatienceClock = { nowMs: () => performance.now(), measureSlowdown };
/** Waits shorter than a second are never measured. */
const firstMeasureMs = 1_000;
const measureEveryMs = 10_000;

/**
 * A deadline in the time of the quiet reference machine. While this machine is slower by some factor, up to eight, the
 * deadline's clock runs slower by that factor. So a machine that is slow, or becomes busy, gets the time that it needs,
 * and a machine that hangs is still detected.
 */
export class Patience implements AsyncDisposable {
  readonly #deadlineMs: number;
  readonly #clock: PatienceClock;
  readonly #startMs: number;
  #lookedMs: number;
  #nextMeasureMs: number;
  #spentMs = 0;
  #slowdown = 1;
  #measuring: Promise<void> = Promise.resolve();

  /**
   * Starts the clock.
   *
   * @param deadlineMs milliseconds of the quiet reference machine
   */
  constructor(deadlineMs: number, clock: PatienceClock = realClock) {
    this.#deadlineMs = deadlineMs;
    this.#clock = clock;
    this.#startMs = this.#lookedMs = clock.nowMs();
    this.#nextMeasureMs = this.#startMs + firstMeasureMs;
  }

  /** How many times slower this machine was than the quiet reference machine at the last measurement. */
  get slowdown(): number {
    return this.#slowdown;
  }

  /** Whether the deadline has passed. Callers ask about once a second or more often. */
  isOver(): boolean {
    const nowMs = this.#clock.nowMs();
    this.#spentMs += (nowMs - this.#lookedMs) / this.#slowdown;
    this.#lookedMs = nowMs;
    if (nowMs >= this.#nextMeasureMs) this.#measure(nowMs);
    return this.#spentMs >= this.#deadlineMs;
  }

  /** The elapsed time, in words. */
  get text(): string {
    const elapsedMs = this.#lookedMs - this.#startMs;
    const slowdown = this.#spentMs === 0 ? 1 : elapsedMs / this.#spentMs;
    return `after ${Math.round(elapsedMs / 1000)} s (slowdown of this machine: ${slowdown.toFixed(1)})`;
  }

  /** Waits for a measurement that is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#measuring;
  }

  #measure(nowMs: number): void {
    this.#nextMeasureMs = nowMs + measureEveryMs;
    this.#measuring = this.#measuring.then(async () => {
      this.#slowdown = await this.#clock.measureSlowdown();
    });
  }
}
