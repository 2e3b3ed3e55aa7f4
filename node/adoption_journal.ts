/**
 * The journal of an adoption on a control plane, besides those of inits and joins: the machine is a node already, and
 * has no lock before the last step.
 *
 * @module
 */
import { join } from "node:path";
import { retryingSteps } from "../init/step_retries.ts";
import type { StepWait } from "../init/step_retries.ts";
import { checkJournalHead, Journal } from "../journal/journal.ts";
import type { JournalHead, PhaseRecorder } from "../journal/journal.ts";
import type { Sequence } from "../journal/sequence.ts";
import { runSequence } from "../journal/sequence.ts";
import type { Clock } from "../platform/clock.ts";
import { ensureFolder, removeTemporaries } from "../platform/files.ts";

const FILE = "adoption.journal";

/** What {@linkcode runAdoptionSteps} works with. */
export interface AdoptionSteps<C> {
  readonly stateFolder: string;
  readonly head: JournalHead;
  readonly sequence: Sequence<C>;
  /** Makes the steps' input. */
  readonly context: (journal: Journal) => C;
  readonly recorder: PhaseRecorder;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called with each step that waits for another try, and with `undefined` when the wait is over. */
  onWaiting(wait: StepWait | undefined): void;
}

/**
 * Runs the steps that are not done yet, and tries a step again as long as time may mend what failed.
 *
 * @throws {BootstrapError} The error of a step; the signal's reason; `precondition/journal` if the journal is of another
 *   cluster or node; `malformed/journal`, `system/file`.
 */
export async function runAdoptionSteps<C>(steps: AdoptionSteps<C>): Promise<void> {
  const { stateFolder, head, sequence, context, recorder, clock, signal, onWaiting } = steps;
  await ensureFolder(stateFolder);
  const path = join(stateFolder, FILE);
  const before = await Journal.read(path, { clock, recorder });
  if (before?.head !== undefined) checkJournalHead(before.head, head);
  await removeTemporaries(path);
  const journal = before ?? new Journal({ clock, recorder });
  if (before === undefined) await journal.keep(path, head);
  const retrying = retryingSteps(journal, { clock, random: Math.random, signal, onWaiting });
  await runSequence(sequence, context(journal), retrying, signal);
}
