/**
 * Steps in a fixed order, each of which can be repeated.
 *
 * @module
 */
import type { Journal } from "./journal.ts";

/** One step of a {@linkcode Sequence}. */
export interface Step<C> {
  /**
   * Checks that a step which the journal records as done is still in effect. If it is not, the step runs again. Without
   * this check the journal is trusted.
   */
  readonly holds?: (context: C) => Promise<boolean>;
  /** Runs the step. It repairs or replaces everything that an earlier attempt left behind. */
  readonly run: (context: C) => Promise<void>;
}

/** Named steps, in their order. */
export type Sequence<C> = Readonly<Record<string, Step<C>>>;

/**
 * Runs the steps that are not done yet, according to the journal and to `holds`.
 *
 * @param signal Ends the sequence between two steps. Steps that can end early have the signal in their context.
 * @throws {BootstrapError} The error of a step. Another run continues with that step.
 */
export async function runSequence<C>(
  sequence: Sequence<C>,
  context: C,
  journal: Pick<Journal, "doneAt" | "phase">,
  signal: AbortSignal,
): Promise<void> {
  for (const [name, { holds, run }] of Object.entries(sequence)) {
    signal.throwIfAborted();
    if (journal.doneAt(name) !== undefined && (holds === undefined || await holds(context))) continue;
    await journal.phase(name, () => run(context));
  }
}
