/**
 * Steps in their order, each of which may be done again.
 *
 * @module
 */
import type { Journal } from "./journal.ts";

/** One step of a {@linkcode Sequence}. */
export interface Step<C> {
  /**
   * Whether what the journal says to be done still stands in the world. Where it does not, the step is done again. A step without it
   * is believed.
   */
  readonly holds?: (context: C) => Promise<boolean>;
  /** Does the step; whatever an earlier attempt of it left is mended or made anew. */
  readonly run: (context: C) => Promise<void>;
}

/** Steps by their names, in their order. */
export type Sequence<C> = Readonly<Record<string, Step<C>>>;

/**
 * Does the steps that are not done yet, by journal and world.
 *
 * @param signal Ends it between two steps; a step that can end early has the signal in its context.
 * @throws {BootstrapError} What a step throws; started again, it goes on there.
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
