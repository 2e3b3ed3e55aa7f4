/**
 * One start of `bootstrapper run`, from before its configuration is read: the run lock, and a status that is true from
 * the first moment on.
 *
 * @module
 */
import { takeRunLock } from "../nodelock/run_lock.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError, errorFamily } from "../platform/errors.ts";
import { ensureFolder, removeTemporaries } from "../platform/files.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import type { BackOff } from "../platform/retry.ts";
import { backOffMs } from "../platform/retry.ts";
import type { NodePaths } from "./paths.ts";
import type { NodeStatus, SaidStatus } from "./status.ts";
import { readStatus, statusRefusal, StatusWriter } from "./status.ts";

const STATE_FOLDER_MODE = 0o755;
const RUN_FOLDER_MODE = 0o700;
/** systemd starts a run that failed again after ten seconds. Further failures in a row add pauses here. */
const RESTART_BACK_OFF: BackOff = Object.freeze({ firstMs: 5_000, factor: 2, longestMs: 110_000, jitter: 0.2 });
const FAILURES_WITHOUT_PAUSE = 2;
/** A failure that is longer ago is of another day: a person, or another boot, tries again. */
const FAILURE_COUNTS_MS = 5 * 60_000;

/** What an earlier start found out, and stays in the status while another one waits. */
const KEPT_FACTS = [
  "clusterName",
  "nodeName",
  "address",
  "role",
  "evidence",
  "lastRefusal",
  "error",
  "warnings",
] as const;

/** What a session needs. */
export interface SessionParts {
  readonly paths: Pick<NodePaths, "run" | "state" | "status" | "timeline">;
  readonly clock: Clock;
  readonly log: Log;
}

/** One start of the bootstrapper. Disposing of it releases the run lock. */
export class RunSession implements Disposable {
  readonly status: StatusWriter;
  readonly #parts: SessionParts;
  readonly #lock: Disposable;
  #failures: number;
  readonly #startedMs: number;
  #isSaid = false;

  private constructor(parts: SessionParts, lock: Disposable, status: StatusWriter, failures: number) {
    this.#parts = parts;
    this.#lock = lock;
    this.status = status;
    this.#failures = failures;
    this.#startedMs = parts.clock.monotonicMs();
  }

  /**
   * Takes the run lock, and writes the status `starting`.
   *
   * @throws {BootstrapError} `conflict/run` if another bootstrapper works on this node, `system/…`.
   */
  static async open(parts: SessionParts): Promise<RunSession> {
    const { paths, clock, log } = parts;
    await ensureFolder(paths.state, STATE_FOLDER_MODE);
    await ensureFolder(paths.run, RUN_FOLDER_MODE);
    const lock = await takeRunLock(paths.state);
    try {
      for (const path of [paths.status, paths.timeline]) await removeTemporaries(path);
      const earlier = await earlierStatus(parts);
      const failures = recentFailures(earlier, clock.now());
      const status = new StatusWriter({ path: paths.status, clock, log });
      const waits = failures > FAILURES_WITHOUT_PAUSE;
      await status.update({
        phase: "starting",
        ...present("failures", failures || undefined),
        ...(waits ? { ...keptFacts((key) => earlier?.[key]), waitsFor: waitText(failures) } : {}),
      });
      return new RunSession(parts, lock, status, failures);
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Waits before another start after several that failed, so that what cannot be mended by trying costs little.
   *
   * @throws The signal's reason.
   */
  async pauseAfterFailures(signal: AbortSignal, random: () => number = Math.random): Promise<void> {
    if (this.#failures <= FAILURES_WITHOUT_PAUSE) return await this.status.update({ failures: undefined });
    const pauseMs = backOffMs(RESTART_BACK_OFF, this.#failures - FAILURES_WITHOUT_PAUSE, random());
    this.#parts.log.event("info", "start-delayed", { failures: this.#failures, pauseMs });
    await this.status.update({
      waitsFor: waitText(this.#failures, pauseMs),
    });
    await this.#parts.clock.sleep(pauseMs, signal);
    await this.status.update({ ...keptFacts(() => undefined), waitsFor: undefined, failures: undefined });
  }

  /** Forgets earlier failures: this start has come further than they did, or does something else. */
  noteProgress(): void {
    this.#failures = 0;
  }

  /**
   * Runs a part of the start, and writes down how it failed, or that it was asked to stop.
   *
   * @param signal Its abort is the request to stop.
   * @throws What `work` throws; `aborted/run` if the run was asked to stop.
   */
  async guard<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (signal.aborted) throw await this.#stopped();
      throw await this.#failed(asBootstrapError(cause));
    }
  }

  async #stopped(): Promise<BootstrapError> {
    if (!this.#isSaid) {
      this.#isSaid = true;
      await this.status.update({ phase: "stopped", waitsFor: undefined, error: undefined, failures: undefined });
      this.#parts.log.event("info", "stopped");
    }
    return stopped;
  }

  async #failed(error: BootstrapError): Promise<BootstrapError> {
    if (this.#isSaid) return error;
    this.#isSaid = true;
    const { clock, log } = this.#parts;
    // A person who corrects the configuration tries again at once; systemd does not.
    const counts = errorFamily(error.code) === "usage" ? 0 : 1;
    const isEarly = clock.monotonicMs() - this.#startedMs < FAILURE_COUNTS_MS;
    await this.status.update({
      phase: "failed",
      waitsFor: undefined,
      error: statusRefusal(error, clock.now()),
      failures: (isEarly ? this.#failures : 0) + counts || undefined,
    });
    log.event("error", "run-failed", errorFields(error));
    return error;
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }
}

function waitText(failures: number, pauseMs?: number): string {
  const when = pauseMs === undefined ? "" : `, in ${Math.round(pauseMs / 1000)} s`;
  return `the next try${when}: the last ${failures} starts have failed`;
}

function keptFacts(
  valueOf: (key: typeof KEPT_FACTS[number]) => unknown,
): Pick<SaidStatus, typeof KEPT_FACTS[number]> {
  return Object.fromEntries(KEPT_FACTS.map((key) => [key, valueOf(key)]));
}

/** The reason of a run that was asked to stop. */
export const stopped = new BootstrapError("aborted/run", "The bootstrapper was stopped; a restart continues it");

async function earlierStatus({ paths, log }: SessionParts): Promise<NodeStatus | undefined> {
  try {
    return await readStatus(paths.status);
  } catch (error) {
    log.event("warn", "status-lost", { code: asBootstrapError(error).code, path: paths.status });
    return undefined;
  }
}

/** How many starts in a row have failed just before. */
function recentFailures(earlier: NodeStatus | undefined, now: Date): number {
  if (earlier === undefined) return 0;
  const ageMs = now.getTime() - Date.parse(earlier.updated);
  return ageMs >= 0 && ageMs < FAILURE_COUNTS_MS ? earlier.failures ?? 0 : 0;
}
