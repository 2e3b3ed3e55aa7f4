/**
 * How the steps of an init are tried again. After its lock a node belongs to its cluster for good: it waits for what time may mend, and
 * says so to the operator, the status and the log.
 *
 * @module
 */
import type { Journal } from "../journal/journal.ts";
import type { Clock } from "../platform/clock.ts";
import { MINUTE_MS, secondsText } from "../platform/duration.ts";
import type { AnyErrorCode } from "../platform/errors.ts";
import { BootstrapError, sentenceOf } from "../platform/errors.ts";
import type { FailedTry } from "../platform/retry.ts";
import { retry } from "../platform/retry.ts";

/** A step that waits for its next try. */
export interface StepWait extends FailedTry {
  /** Its name. */
  readonly step: string;
}

/** What {@linkcode retryingSteps} works with. */
export interface StepRetries {
  /** Measures the tries, and sleeps between them. */
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  /** The source of the jitter: numbers from 0 to 1. */
  readonly random: () => number;
  /** Ends the tries. */
  readonly signal: AbortSignal;
  /** Hears of each step that waits for another try, and `undefined` when it waits no more. */
  onWaiting(wait: StepWait | undefined): void;
}

/** What runs steps by a journal. */
export type StepJournal = Pick<Journal, "doneAt" | "phase">;

/**
 * What a node's own API server answers while it starts or is busy, and what it answers for ever where it is misconfigured: it does not
 * know yet what its administrator may do, another writer has just changed the object, its certificate is refused.
 */
const PERHAPS_PERMANENT: readonly AnyErrorCode[] = [
  "unauthorized/kubernetes-api",
  "conflict/changed",
  "unavailable/kubernetes-api-tls",
];

/**
 * How long a step may fail with such an answer, try after try. An API server that starts gives it for less than a minute, on an
 * emulated machine too; after five the configuration is wrong, and the operator should hear so.
 */
export const PERHAPS_PERMANENT_MS: number = 5 * MINUTE_MS;

/**
 * The same journal, whose steps are tried again until they work. Each try that failed is an event of the journal. An error that no time
 * mends ends a step at once, and so does the signal, with its reason. A step fails with `system/init-step` when the API server has
 * refused all its tries for {@linkcode PERHAPS_PERMANENT_MS}.
 */
export function retryingSteps(journal: StepJournal & Pick<Journal, "waiting">, retries: StepRetries): StepJournal {
  const { clock, random, signal, onWaiting } = retries;
  const tryAgain = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
    let waited = false;
    const failures = new StepFailures(step, clock);
    try {
      const result = await retry(work, {
        clock,
        random,
        signal,
        isRetriable: (error) => failures.isMendedByTime(error),
        onFailedTry: (failed) => {
          waited = true;
          journal.waiting(step, waitSentence(failed));
          onWaiting({ step, ...failed });
        },
      });
      if (waited) onWaiting(undefined);
      return result;
    } catch (error) {
      throw failures.lasting ?? error;
    }
  };
  return {
    doneAt: (name) => journal.doneAt(name),
    phase: (name, work) => journal.phase(name, () => tryAgain(name, work)),
  };
}

/** The tries of one step that failed. */
class StepFailures {
  readonly #step: string;
  readonly #clock: Pick<Clock, "monotonicMs">;
  #refusedSinceMs: number | undefined;
  #lasting: BootstrapError | undefined;

  constructor(step: string, clock: Pick<Clock, "monotonicMs">) {
    this.#step = step;
    this.#clock = clock;
  }

  /** That the API server refused all tries for too long, if it did. */
  get lasting(): BootstrapError | undefined {
    return this.#lasting;
  }

  /** Takes note of a try that failed. */
  isMendedByTime(error: BootstrapError): boolean {
    if (!isRefusal(error)) {
      this.#refusedSinceMs = undefined;
      return error.retriable;
    }
    const nowMs = this.#clock.monotonicMs();
    this.#refusedSinceMs ??= nowMs;
    if (nowMs - this.#refusedSinceMs < PERHAPS_PERMANENT_MS) return true;
    this.#lasting = lastingRefusal(this.#step, error);
    return false;
  }
}

/** Whether the API server refused: as the error says, or as the last thing seen by a wait that has passed its deadline. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof BootstrapError)) return false;
  return PERHAPS_PERMANENT.includes(error.code) || (error.retriable && isRefusal(error.cause));
}

function lastingRefusal(step: string, cause: BootstrapError): BootstrapError {
  const duration = `${PERHAPS_PERMANENT_MS / MINUTE_MS} minutes`;
  return new BootstrapError("system/init-step", `The step ${step} was refused for ${duration}: ${sentenceOf(cause)}`, {
    cause,
    next: cause.next === "" ? "Look at the API server of the node, at its log and its configuration" : cause.next,
    details: { step, code: cause.code },
  });
}

/** Which try failed and why, when the next one begins, and what a person may do. */
function waitSentence({ error, failures, pauseMs }: FailedTry): string {
  const next = error.next === "" ? "" : `. ${error.next}`;
  return `try ${failures} failed: ${sentenceOf(error)}; next try in ${secondsText(pauseMs)} s${next}`;
}
