import { abortable } from "../../platform/abortable.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { DEMO_CODES } from "./demo_codes.ts";
import type { PatienceClock } from "../e2e/patience.ts";
import { Overdue, seenLast } from "../e2e/wait_until.ts";
import { withDeadline } from "../e2e/with_deadline.ts";
import type { Screen } from "./screen.ts";

/** How {@linkcode Steps.run} runs a step. */
export interface StepOptions {
  /** Milliseconds from the step's start, in the time of the quiet reference machine. */
  readonly deadlineMs: number;
  /** Whether a stop of the demo waits for the step to end, as the step must not be left half done. */
  readonly whole?: boolean;
  /** Returns the state to report at the deadline, as one line. */
  readonly seen?: () => string;
  /** The folder with the logs, once it exists. */
  readonly logs?: string;
  /** Replaces the real clock in tests. */
  readonly clock?: PatienceClock;
}

/** Runs the steps of the demo one after the other, each with a deadline, until the demo is stopped. */
export class Steps {
  readonly #screen: Pick<Screen, "begin" | "end">;
  readonly #signal: AbortSignal;

  /**
   * `screen` shows the steps. When `signal` aborts, because the demo is stopped, the current step fails with its
   * reason.
   */
  constructor(screen: Pick<Screen, "begin" | "end">, signal: AbortSignal) {
    this.#screen = screen;
    this.#signal = signal;
  }

  /**
   * Runs one step and shows how long it takes.
   *
   * @param work receives a signal that aborts at the deadline and, unless the step is whole, when the demo is stopped
   * @throws what `work` throws; the reason with which the demo is stopped; {@linkcode BootstrapError} `timeout/demo` at
   * the deadline, and when a wait inside the step is overdue.
   */
  async run<T>(title: string, options: StepOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#signal.throwIfAborted();
    this.#screen.begin(title);
    const overdue = (after: string) => new Overdue(`it has not ended ${after}${seenLast(options.seen?.() ?? "")}`);
    try {
      const result = await withDeadline(options.deadlineMs, overdue, async (cut) => {
        const stop = AbortSignal.any(options.whole ? [cut] : [cut, this.#signal]);
        return await abortable(work(stop), stop);
      }, options.clock);
      this.#signal.throwIfAborted();
      this.#screen.end(true);
      return result;
    } catch (error) {
      this.#screen.end(false);
      if (this.#signal.aborted) throw this.#signal.reason;
      throw error instanceof Overdue ? timeout(title, error, options.logs) : error;
    }
  }
}

function timeout(title: string, cause: Overdue, logs: string | undefined): BootstrapError {
  return new BootstrapError(DEMO_CODES.timedOut, `The step "${title}" failed: ${cause.message}`, {
    cause,
    ...(logs === undefined ? {} : { details: { logs } }),
  });
}
