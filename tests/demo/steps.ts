import { BootstrapError } from "../../platform/errors.ts";
import type { Screen } from "./screen.ts";

/** How {@linkcode Steps.run} runs a step. */
export interface StepOptions {
  /** Milliseconds from its begin. */
  readonly deadlineMs: number;
  /** Whether the step must not be left half done when the demo is stopped: it is waited for. */
  readonly whole?: boolean;
}

/** Runs the steps of the demo, one after the other, each with a deadline, until the demo is stopped. */
export class Steps {
  readonly #screen: Pick<Screen, "begin" | "end">;
  readonly #signal: AbortSignal;

  /** Steps which `screen` shows, and which fail with the reason of `signal` when that stops the demo. */
  constructor(screen: Pick<Screen, "begin" | "end">, signal: AbortSignal) {
    this.#screen = screen;
    this.#signal = signal;
  }

  /**
   * Runs one step and shows how long it takes.
   *
   * @throws what `work` throws or the demo is stopped with; {@linkcode BootstrapError} `timeout/demo`.
   */
  async run<T>(title: string, { deadlineMs, whole = false }: StepOptions, work: () => Promise<T>): Promise<T> {
    this.#signal.throwIfAborted();
    this.#screen.begin(title);
    const cut = new AbortController();
    const timer = setTimeout(() => cut.abort(timeout(title, deadlineMs)), deadlineMs);
    const stop = AbortSignal.any(whole ? [cut.signal] : [cut.signal, this.#signal]);
    try {
      const result = await Promise.race([work(), rejection(stop)]);
      this.#signal.throwIfAborted();
      this.#screen.end(true);
      return result;
    } catch (error) {
      this.#screen.end(false);
      throw this.#signal.aborted ? this.#signal.reason : error;
    } finally {
      clearTimeout(timer);
    }
  }
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function timeout(title: string, deadlineMs: number): BootstrapError {
  return new BootstrapError("timeout/demo", `Cannot go on: "${title}" has not ended after ${deadlineMs / 1000} s`);
}
