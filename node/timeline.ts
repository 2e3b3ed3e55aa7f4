/**
 * The timeline of a node's bootstrap: the start, duration and outcome of every phase, kept on disk.
 *
 * @module
 */
import * as v from "valibot";
import { utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import { readJson } from "../platform/json.ts";
import type { Log } from "../platform/log.ts";
import { present } from "../platform/present.ts";

/** How a phase ended, or `running`. `interrupted`: the process died during the phase. */
export const PHASE_OUTCOMES = ["running", "succeeded", "failed", "interrupted"] as const;

/** How a phase ended, or `running`. */
export type PhaseOutcome = typeof PHASE_OUTCOMES[number];

/** One phase. */
export interface TimelinePhase {
  /** The phase's name, in kebab case. */
  readonly name: string;
  /** When the phase began: milliseconds since 1970, by the node's clock. */
  readonly startMs: number;
  /** The phase's duration in milliseconds; absent until it has ended. */
  readonly durationMs?: number;
  readonly outcome: PhaseOutcome;
  /** The code of the error with which the phase failed. */
  readonly code?: string;
}

/** All phases of a node over all starts of the bootstrapper, in the order in which they began. */
export interface Timeline {
  readonly phases: readonly TimelinePhase[];
}

const LATEST_TIME_MS = 8.64e15;
const phaseSchema: v.GenericSchema<unknown, TimelinePhase> = v.strictObject({
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(100)),
  startMs: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(LATEST_TIME_MS)),
  durationMs: v.exactOptional(v.pipe(v.number(), v.minValue(0), v.maxValue(LATEST_TIME_MS))),
  outcome: v.picklist(PHASE_OUTCOMES),
  code: v.exactOptional(v.string()),
});
const timelineSchema = v.strictObject({ version: v.literal(1), phases: v.array(phaseSchema) });

const MAXIMUM_TIMELINE_BYTES = 1 << 20;
/** The oldest phases are dropped, so that a node that restarts again and again does not fill its disk. */
const MAXIMUM_PHASES = 500;
const TIMELINE_MODE = 0o644;

/**
 * Reads a timeline; returns an empty one if the file does not exist.
 *
 * @throws {BootstrapError} `malformed/timeline`, `system/file`.
 */
export async function readTimeline(path: string): Promise<Timeline> {
  const bytes = await readFileIfExists(path, MAXIMUM_TIMELINE_BYTES);
  return bytes === undefined ? { phases: [] } : parseTimeline(bytes, path);
}

/** Parses the bytes of a timeline file. `what` names the file in errors; see {@linkcode readTimeline}. */
export function parseTimeline(bytes: Uint8Array, what: string): Timeline {
  const { phases } = readJson(bytes, {
    schema: timelineSchema,
    maximumBytes: MAXIMUM_TIMELINE_BYTES,
    newest: 1,
    error: (reason, key, cause) =>
      new BootstrapError("malformed/timeline", `Cannot read the timeline ${what}: ${reason}`, {
        cause,
        details: { path: what, key },
      }),
  });
  return { phases };
}

/** What a recorder needs. */
export interface TimelineOptions {
  readonly path: string;
  /** Gives the start and the duration of each phase. */
  readonly clock: Pick<Clock, "now" | "monotonicMs">;
  /** Receives the start and the end of each phase. */
  readonly log: Log;
}

/** Records phases as they begin and end. */
export class TimelineRecorder {
  readonly #options: TimelineOptions;
  readonly #phases: TimelinePhase[];
  #lastWrite: Promise<void> = Promise.resolve();

  private constructor(options: TimelineOptions, phases: readonly TimelinePhase[]) {
    this.#options = options;
    this.#phases = [...phases];
  }

  /**
   * Opens the timeline of this node to continue it. Phases that an earlier process left running become `interrupted`. A
   * file that cannot be read is replaced by an empty timeline: a record of the past must never stop a node.
   */
  static async open(options: TimelineOptions): Promise<TimelineRecorder> {
    const earlier = await readTimeline(options.path).catch((error: unknown) => {
      options.log.event("warn", "timeline-lost", { code: asBootstrapError(error).code, path: options.path });
      return { phases: [] };
    });
    return new TimelineRecorder(
      options,
      earlier.phases.map((phase) => phase.outcome === "running" ? { ...phase, outcome: "interrupted" } : phase),
    );
  }

  /** The phases so far. */
  get timeline(): Timeline {
    return { phases: [...this.#phases] };
  }

  /**
   * Runs `work` as the phase `name`, and returns its result. Phases may run in parallel and be nested. A failure to
   * write the file never makes a phase fail.
   */
  async phase<T>(name: string, work: () => Promise<T>): Promise<T> {
    const { clock, log } = this.#options;
    const started: TimelinePhase = { name, startMs: clock.now().getTime(), outcome: "running" };
    const startMonotonicMs = clock.monotonicMs();
    log.event("info", "phase-started", { phase: name });
    await this.#replace(undefined, started);
    const end = async (outcome: "succeeded" | "failed", code?: string) => {
      const durationMs = Math.round(clock.monotonicMs() - startMonotonicMs);
      log.event(code === undefined ? "info" : "warn", "phase-ended", { phase: name, outcome, durationMs, code });
      await this.#replace(started, { ...started, outcome, durationMs, ...present("code", code) });
    };
    let result: T;
    try {
      result = await work();
    } catch (error) {
      await end("failed", asBootstrapError(error).code);
      throw error;
    }
    await end("succeeded");
    return result;
  }

  async #replace(old: TimelinePhase | undefined, phase: TimelinePhase): Promise<void> {
    const index = old === undefined ? -1 : this.#phases.indexOf(old);
    if (index >= 0) this.#phases[index] = phase;
    else this.#phases.push(phase);
    this.#phases.splice(0, this.#phases.length - MAXIMUM_PHASES);
    const write = this.#lastWrite.then(() => this.#write());
    this.#lastWrite = write;
    await write;
  }

  async #write(): Promise<void> {
    const { path, log } = this.#options;
    const text = JSON.stringify({ version: 1, phases: this.#phases });
    try {
      await writeFileAtomic(path, utf8(`${text}\n`), { mode: TIMELINE_MODE });
    } catch (error) {
      log.event("warn", "timeline-not-written", { code: asBootstrapError(error).code, path });
    }
  }
}
