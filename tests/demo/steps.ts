import { abortable } from "../../platform/abortable.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { DEMO_CODES } from "./demo_codes.ts";
import type { PatienceClock } from "../e2e/patience.ts";
import { Overdue, seenLast } from "../e2e/wait_until.ts";
import { withDeadline } from "../e2e/with_deadline.ts";
import type { Screen } from "./screen.ts";

/** How {@linkcode Steps.run} runs a step. */
export interface StepOptions {
  /** Milliseconds from its begin, in the time of the quiet reference machine. */
  readonly deadlineMs: number;
  /** Whether the step must not be left half done when the demo is stopped: it is waited for. */
  readonly whole?: boolean;
  /** What there is to see at the deadline, as one line. */
  readonly seen?: () => string;
  /** The folder with the logs, once there is one. */
  readonly logs?: string;
  /** For tests. */
  readonly clock?: PatienceClock;
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
   * @param work gets a signal that aborts at the deadline, and when the demo is stopped unless the step is whole
   * @throws what `work` throws or the demo is stopped with; {@linkcode BootstrapError} `timeout/demo` at the deadline, and
   * when a wait inside it is overdue.
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
