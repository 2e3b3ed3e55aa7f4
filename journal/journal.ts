/**
 * The journal of a node's init or join: the steps that it has begun and done, on disk before and after each step, and
 * numbered events for observers.
 *
 * Each write replaces the whole file atomically, so a power cut never leaves a torn journal. A torn journal was changed
 * by another program, and is refused. A journal contains no secrets.
 *
 * @module
 */
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError, sentenceOf } from "../platform/errors.ts";
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

/** Runs work as a named phase and records it elsewhere too, such as in the timeline. */
export interface PhaseRecorder {
  /** Runs `work` as the phase `name`, and returns its result. */
  phase<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** The dependencies of a journal. */
export interface JournalParts {
  /** The source of dates and durations. */
  readonly clock: Pick<Clock, "now" | "monotonicMs">;
  /** Records the phases besides the journal. */
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

  /** Creates a journal in memory. Before the lock, nothing needs to be resumed; see {@linkcode keep}. */
  constructor(parts: JournalParts) {
    this.#parts = parts;
  }

  /**
   * Reads the journal in a file. Returns `undefined` if there is none.
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

  /** Writes the journal to a file in an existing folder, and every later change of it too. */
  async keep(path: string, head: JournalHead): Promise<void> {
    this.#kept = { path, head };
    await this.#write();
  }

  /** The head of the journal; `undefined` until it is kept. */
  get head(): JournalHead | undefined {
    return this.#kept?.head;
  }

  /** The steps, in the order in which they were first begun. */
  get steps(): readonly JournalStep[] {
    return [...this.#steps.values()];
  }

  /** Returns when a step was done, or `undefined` if it is not done. */
  doneAt(name: string): Date | undefined {
    const done = this.#steps.get(name)?.done;
    return done === undefined ? undefined : new Date(done);
  }

  /** Adds a detail to a step under way. The detail reaches the disk with the next write. */
  detail(name: string, detail: string): void {
    this.#say(name, "detail", detail);
  }

  /**
   * Records why a try of a step under way failed, and when the next try follows. It reaches the disk with the next
   * write.
   */
  waiting(name: string, detail: string): void {
    this.#say(name, "waiting", detail);
  }

  /**
   * Runs `work` as a step. Writes the journal to disk before `work` begins and after it is done.
   *
   * @throws {BootstrapError} The error of `work`; `system/file` if the journal cannot be written before or after the
   *   work.
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
      this.#append(name, "failed", sentenceOf(asBootstrapError(error)), durationMs());
      await this.#write().catch(() => {});
      throw error;
    }
  }

  /**
   * Sends the events after number `heard`, past events first, until `until` settles and no event is left. Events of a
   * kept journal are sent only once they are on disk, so that a number never denotes two events.
   *
   * @param send Receives the events in order, one at a time.
   * @param until Ends the following. Its rejection is not thrown here.
   * @param heard The number of the last event that the caller has received.
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
    // A detail is no reason to fail: the end of the step reports a failed write.
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

  /** The next write covers all changes that come while a write is under way. */
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
 * Checks that a journal belongs to the lock and to this node. Without this check, a journal copied from another node
 * would be trusted.
 *
 * @throws {BootstrapError} `precondition/journal`, with the difference.
 */
export function checkJournalHead(head: JournalHead, expected: Omit<JournalHead, "operation">): void {
  for (const field of ["owner", "clusterId", "nodeName", "role"] as const) {
    if (head[field] === expected[field]) continue;
    throw foreignJournal(NAMES[field], { field, expected: expected[field], seen: head[field] });
  }
}

/**
 * Checks that a journal belongs to the operation that is staged on this node.
 *
 * @param head The head of an init's journal.
 * @throws {BootstrapError} `precondition/journal`, with the difference.
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
  const message = `The journal belongs to another ${what}: ${details.seen}; this node has ${details.expected}`;
  return new BootstrapError("precondition/journal", message, {
    next:
      "Give the node the configuration that it began with; or run `bootstrapper reset`, or build it anew from its image",
    details,
  });
}
