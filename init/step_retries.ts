/**
 * How the steps of an init are retried. After its lock, a node belongs to its cluster for good. It therefore waits
 * while time may fix a failure, and reports the wait to the operator, the status and the log.
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
  /** Called with each step that waits for another try, and with `undefined` when the wait is over. */
  onWaiting(wait: StepWait | undefined): void;
}

/** The part of a journal that runs steps. */
export type StepJournal = Pick<Journal, "doneAt" | "phase">;

/**
 * Refusals of a node's own API server that may be temporary or permanent. A server that starts or is busy gives them
 * for a while: it does not know yet what its administrator may do, another writer has just changed the object, or its
 * certificate is refused. A misconfigured server gives them for ever.
 */
const PERHAPS_PERMANENT: readonly AnyErrorCode[] = [
  "unauthorized/kubernetes-api",
  "conflict/changed",
  "unavailable/kubernetes-api-tls",
];

/**
 * How long a step may fail with such a refusal, try after try. A starting API server gives it for less than a minute,
 * even on an emulated machine. After five minutes the configuration is wrong, and the operator should be told.
 */
export const PERHAPS_PERMANENT_MS: number = 5 * MINUTE_MS;

/**
 * Wraps a journal: its steps are retried until they work. Each failed try is an event of the journal. An error that
 * time cannot fix ends a step at once, and so does the signal, with its reason. A step fails with `system/init-step`
 * when the API server has refused all its tries for {@linkcode PERHAPS_PERMANENT_MS}.
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

/** The failed tries of one step. */
class StepFailures {
  readonly #step: string;
  readonly #clock: Pick<Clock, "monotonicMs">;
  #refusedSinceMs: number | undefined;
  #lasting: BootstrapError | undefined;

  constructor(step: string, clock: Pick<Clock, "monotonicMs">) {
    this.#step = step;
    this.#clock = clock;
  }

  /** The error that says that the API server refused all tries for too long, if it did. */
  get lasting(): BootstrapError | undefined {
    return this.#lasting;
  }

  /** Records a failed try, and says whether time may fix its error. */
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

/** Whether the API server refused, either in this error or in the last one that a wait saw before its deadline. */
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

/** Says which try failed and why, when the next one begins, and what a person can do. */
function waitSentence({ error, failures, pauseMs }: FailedTry): string {
  const next = error.next === "" ? "" : `. ${error.next}`;
  return `try ${failures} failed: ${sentenceOf(error)}; next try in ${secondsText(pauseMs)} s${next}`;
}
