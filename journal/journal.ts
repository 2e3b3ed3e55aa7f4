/**
 * What a node has begun and done of its init or its join, on disk before and after each step, with numbered events for those who
 * follow it.
 *
 * Each write replaces the whole file as one step, so that a power cut never leaves a torn journal: one that is torn was changed by
 * something else, and is refused. Nothing in it is secret.
 *
 * @module
 */
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import type { JournalEvent, JournalHead, JournalOperation, JournalStep } from "./_journal_file.ts";
import {
  decodeJournal,
  encodeJournal,
  MAXIMUM_DETAIL_LENGTH,
  MAXIMUM_EVENTS,
  MAXIMUM_JOURNAL_BYTES,
} from "./_journal_file.ts";

export type { JournalEvent, JournalHead, JournalOperation, JournalStep } from "./_journal_file.ts";

/** Does work as a named phase that is recorded elsewhere too, as in the timeline. */
export interface PhaseRecorder {
  /** Does `work` as the phase `name`, and gives what it gives. */
  phase<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** What a journal works with. */
export interface JournalParts {
  /** Dates and measures. */
  readonly clock: Pick<Clock, "now" | "monotonicMs">;
  /** Where phases are written down beside the journal. */
  readonly recorder: PhaseRecorder;
}

const JOURNAL_MODE = 0o644;

/** The journal of one init or join. */
export class Journal {
  readonly #parts: JournalParts;
  readonly #steps = new Map<string, JournalStep>();
  readonly #listeners = new Set<() => void>();
  #events: readonly JournalEvent[] = [];
  #kept: { readonly path: string; readonly head: JournalHead } | undefined;
  #onDisk = 0;
  #nextWrite: Promise<void> | undefined;
  #lastWrite: Promise<void> = Promise.resolve();

  /** A journal in memory, as nothing is to be resumed before the lock; see {@linkcode keep}. */
  constructor(parts: JournalParts) {
    this.#parts = parts;
  }

  /**
   * The journal in a file, or `undefined` where there is none.
   *
   * @throws {BootstrapError} `malformed/journal`, `system/file`.
   */
  static async read(path: string, parts: JournalParts): Promise<Journal | undefined> {
    const bytes = await readFileIfExists(path, MAXIMUM_JOURNAL_BYTES);
    if (bytes === undefined) return undefined;
    const { head, steps, events } = await decodeJournal(bytes, path);
    const journal = new Journal(parts);
    for (const step of steps) journal.#steps.set(step.name, step);
    journal.#events = events;
    journal.#onDisk = journal.#lastNumber;
    journal.#kept = { path, head };
    return journal;
  }

  /** Writes the journal, and from now on every change of it, to a file whose folder is there. */
  async keep(path: string, head: JournalHead): Promise<void> {
    this.#kept = { path, head };
    await this.#write();
  }

  /** Whose journal it is, once it is kept. */
  get head(): JournalHead | undefined {
    return this.#kept?.head;
  }

  /** The steps, in the order in which they were first begun. */
  get steps(): readonly JournalStep[] {
    return [...this.#steps.values()];
  }

  /** When a step was done, or `undefined`. */
  doneAt(name: string): Date | undefined {
    const done = this.#steps.get(name)?.done;
    return done === undefined ? undefined : new Date(done);
  }

  /** Says something of a step that is under way. It reaches the disk with the next write. */
  detail(name: string, detail: string): void {
    this.#say(name, "detail", detail);
  }

  /** Says of a step that is under way why a try of it failed, and when it is tried again. It reaches the disk with the next write. */
  waiting(name: string, detail: string): void {
    this.#say(name, "waiting", detail);
  }

  /**
   * Does `work` as a step: on disk before it begins, and after it is done.
   *
   * @throws {BootstrapError} What `work` throws; `system/file` where the journal cannot be written, before the work or after it.
   */
  async phase<T>(name: string, work: () => Promise<T>): Promise<T> {
    const { clock, recorder } = this.#parts;
    const startMs = clock.monotonicMs();
    const attempts = (this.#steps.get(name)?.attempts ?? 0) + 1;
    const begun: JournalStep = { name, attempts, begun: clock.now().toISOString() };
    this.#steps.set(name, begun);
    this.#append(name, "started", "", 0);
    await this.#write();
    const durationMs = () => Math.max(0, Math.round(clock.monotonicMs() - startMs));
    try {
      const result = await recorder.phase(name, work);
      this.#steps.set(name, { ...begun, done: clock.now().toISOString() });
      this.#append(name, "done", "", durationMs());
      await this.#write();
      return result;
    } catch (error) {
      this.#steps.set(name, begun);
      this.#append(name, "failed", asBootstrapError(error).message, durationMs());
      await this.#write().catch(() => {});
      throw error;
    }
  }

  /**
   * Sends the events after number `heard`, those of the past first, until `until` settles and nothing is left. Of a journal that is
   * kept only what is on disk is sent, so that a number never names two events.
   *
   * @param send Called in order, one at a time.
   * @param until Ends the following; what it rejects with is not thrown here.
   * @param heard The number of the last event that the caller has heard.
   * @returns The number of the last event that was sent, or `heard`.
   */
  async follow(send: (event: JournalEvent) => Promise<void>, until: Promise<unknown>, heard = 0): Promise<number> {
    let ended = false;
    let wake = () => {};
    const listener = () => wake();
    this.#listeners.add(listener);
    const end = () => {
      ended = true;
      wake();
    };
    until.then(end, end);
    try {
      for (let last = heard;;) {
        const event = this.#eventAfter(last);
        if (event !== undefined) {
          await send(event);
          last = event.number;
        } else if (ended) {
          return last;
        } else {
          const { promise, resolve } = Promise.withResolvers<void>();
          wake = resolve;
          if (this.#eventAfter(last) === undefined && !ended) await promise;
        }
      }
    } finally {
      this.#listeners.delete(listener);
    }
  }

  get #lastNumber(): number {
    return this.#events.at(-1)?.number ?? 0;
  }

  #eventAfter(number: number): JournalEvent | undefined {
    const readable = this.#kept === undefined ? Infinity : this.#onDisk;
    return this.#events.find((event) => event.number > number && event.number <= readable);
  }

  #say(name: string, state: "detail" | "waiting", detail: string): void {
    this.#append(name, state, detail, 0);
    // A detail is no reason to fail: what cannot be written is noticed at the end of the step.
    this.#write().catch(() => {});
  }

  #append(phase: string, state: JournalEvent["state"], detail: string, durationMs: number): void {
    const event = {
      number: this.#lastNumber + 1,
      phase,
      state,
      durationMs,
      detail: detail.slice(0, MAXIMUM_DETAIL_LENGTH).toWellFormed(),
      timeMs: this.#parts.clock.now().getTime(),
    };
    this.#events = [...this.#events, event].slice(-MAXIMUM_EVENTS);
    if (this.#kept === undefined) this.#wakeListeners();
  }

  /** Changes that come while a write is under way are written together by the next one. */
  #write(): Promise<void> {
    const kept = this.#kept;
    if (kept === undefined) return Promise.resolve();
    this.#nextWrite ??= this.#lastWrite.then(async () => {
      this.#nextWrite = undefined;
      const lastNumber = this.#lastNumber;
      const bytes = await encodeJournal({ head: kept.head, steps: this.steps, events: this.#events });
      await writeFileAtomic(kept.path, bytes, { mode: JOURNAL_MODE });
      this.#onDisk = lastNumber;
      this.#wakeListeners();
    });
    this.#lastWrite = this.#nextWrite.catch(() => {});
    return this.#nextWrite;
  }

  #wakeListeners(): void {
    for (const listener of this.#listeners) listener();
  }
}

/**
 * Checks that a journal is that of the lock and of this node: one that was copied from elsewhere would be believed otherwise.
 *
 * @throws {BootstrapError} `precondition/journal`, naming what differs.
 */
export function checkJournalHead(head: JournalHead, expected: Omit<JournalHead, "operation">): void {
  for (const field of ["owner", "clusterId", "nodeName", "role"] as const) {
    if (head[field] === expected[field]) continue;
    throw foreignJournal(NAMES[field], { field, expected: expected[field], seen: head[field] });
  }
}

/**
 * Checks that a journal is that of the operation which is staged on this node.
 *
 * @param head The head of an init's journal.
 * @throws {BootstrapError} `precondition/journal`, naming what differs.
 */
export function checkJournalOperation({ operation }: Pick<JournalHead, "operation">, staged: JournalOperation): void {
  for (const name of ["id", "operatorKey", "request"] as const) {
    const seen = operation?.[name] ?? "";
    if (seen === staged[name]) continue;
    throw foreignJournal(OPERATION_NAMES[name], { field: `operation.${name}`, expected: staged[name], seen });
  }
}

const NAMES = Object.freeze({ owner: "lock owner", clusterId: "cluster", nodeName: "node name", role: "role" });
const OPERATION_NAMES = Object.freeze({ id: "operation", operatorKey: "operator", request: "request" });

function foreignJournal(
  what: string,
  details: { readonly field: string; readonly expected: string; readonly seen: string },
): BootstrapError {
  const message = `The journal is of another ${what}: ${details.seen}, where this node has ${details.expected}`;
  return new BootstrapError("precondition/journal", message, {
    next:
      "Give the node the configuration that it began with; or run `bootstrapper reset`, or build it anew from its image",
    details,
  });
}
