/**
 * How the steps of an init are tried again. After its lock a node belongs to its cluster for good: it waits for what time may mend, and
 * says so to the operator, the status and the log.
 *
 * @module
 */
import type { Journal } from "../journal/journal.ts";
import type { Clock } from "../platform/clock.ts";
import type { BootstrapError } from "../platform/errors.ts";
import { sentenceOf } from "../platform/errors.ts";
import type { FailedTry } from "../platform/retry.ts";
import { retry } from "../platform/retry.ts";

/** A step that waits for its next try. */
export interface StepWait extends FailedTry {
  /** Its name. */
  readonly step: string;
}

/** What {@linkcode retryingSteps} works with. */
export interface StepRetries {
  /** Sleeps between the tries. */
  readonly clock: Pick<Clock, "sleep">;
  /** The source of the jitter: numbers from 0 to 1. */
  readonly random: () => number;
  /** Ends the tries. */
  readonly signal: AbortSignal;
  /** Hears of each step that waits for another try, and `undefined` when it waits no more. */
  onWaiting(wait: StepWait | undefined): void;
}

/** What runs steps by a journal. */
export type StepJournal = Pick<Journal, "doneAt" | "phase">;

const MILLISECONDS = 1000;

/**
 * The same journal, whose steps are tried again until they work. Each try that failed is an event of the journal. An error that no time
 * mends ends a step at once, and so does the signal, with its reason.
 */
export function retryingSteps(journal: StepJournal & Pick<Journal, "waiting">, retries: StepRetries): StepJournal {
  const { clock, random, signal, onWaiting } = retries;
  const tryAgain = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
    let waited = false;
    const result = await retry(work, {
      ...{ clock, random, signal, isRetriable: isMendedByTime },
      onFailedTry: (failed) => {
        waited = true;
        journal.waiting(step, waitSentence(failed));
        onWaiting({ step, ...failed });
      },
    });
    if (waited) onWaiting(undefined);
    return result;
  };
  return {
    doneAt: (name) => journal.doneAt(name),
    phase: (name, work) => journal.phase(name, () => tryAgain(name, work)),
  };
}

/** Which try failed, why, and when the next one begins. */
function waitSentence({ error, failures, pauseMs }: FailedTry): string {
  return `try ${failures} failed: ${sentenceOf(error)}; next try in ${(pauseMs / MILLISECONDS).toFixed(1)} s`;
}

/**
 * What says so itself, and what an API server of this node's own may say that has just started or is busy: it does not know yet what
 * its administrator may do, and an object that somebody else has just changed is read again by the next try.
 */
function isMendedByTime({ code, retriable }: BootstrapError): boolean {
  return retriable || code === "unauthorized/kubernetes-api" || code === "conflict/changed";
}
