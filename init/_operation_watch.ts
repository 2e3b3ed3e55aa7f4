import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { BootstrapErrorOptions } from "../platform/errors.ts";
import type { ProgressEvent } from "../proto/gen/bootstrapper.ts";
import { INIT_STEPS_BEFORE, LOCK_STEP } from "./steps.ts";

const MILLISECONDS = 1000;
const BEFORE: readonly string[] = INIT_STEPS_BEFORE;

/** What an operator's init has seen of its operation, over all its connections to the node. */
export class OperationWatch {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #patienceMs: number;
  /** Steps that wait for another try: what is heard of them is no progress until they are done. */
  readonly #waiting = new Set<string>();
  #isLocked = false;
  #heard = 0;
  #last: ProgressEvent | undefined;
  #progressMs: number;

  /** @param patienceMs How long nothing may come of the operation, milliseconds. */
  constructor(clock: Pick<Clock, "monotonicMs">, patienceMs: number) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    this.#progressMs = clock.monotonicMs();
  }

  /** Whether the node is locked for the operation, so that it goes on with it whatever becomes of a connection. */
  get isLocked(): boolean {
    return this.#isLocked;
  }

  /** The number of the last event, or 0. */
  get heard(): number {
    return this.#heard;
  }

  /** Whether nothing has come of the operation for longer than there is patience. */
  get isOver(): boolean {
    return this.#clock.monotonicMs() - this.#progressMs >= this.#patienceMs;
  }

  /** The last event, as a person says it. */
  get lastSeen(): string {
    if (this.#last === undefined) return "no event of the node";
    const { phase, state, detail } = this.#last;
    return `the step ${phase} ${state}${detail === "" ? "" : `: ${detail}`}`;
  }

  /** The node has shown that it goes on with the operation. */
  goesOn(heard: number): void {
    this.#isLocked = true;
    this.#heard = Math.max(this.#heard, heard);
  }

  /**
   * Takes note of an event.
   *
   * @returns Whether something has come of the operation.
   * @throws {BootstrapError} `timeout/init-step` for a step that is tried again and again for longer than there is patience.
   */
  hear(event: ProgressEvent): boolean {
    const { number, phase, state, detail } = event;
    this.#heard = number;
    this.#last = event;
    if (!BEFORE.includes(phase) || (phase === LOCK_STEP && state === "done")) this.#isLocked = true;
    if (state === "waiting") this.#waiting.add(phase);
    else if (state === "done") this.#waiting.delete(phase);
    if (!this.#waiting.has(phase)) {
      this.#progressMs = this.#clock.monotonicMs();
      return true;
    }
    if (state === "waiting" && this.isOver) {
      throw new BootstrapError("timeout/init-step", `The step ${phase} of the node does not work: ${detail}`);
    }
    return false;
  }

  /**
   * Follows the operation at a node that is connected. As long as it does not wait for another try of a step, a connected node is
   * one that works: that time counts for nothing. A node that was silent for too long is none.
   */
  async following<T>(work: () => Promise<T>): Promise<T> {
    const startMs = this.#clock.monotonicMs();
    try {
      return await work();
    } catch (error) {
      const wasSilent = error instanceof BootstrapError && error.code === "timeout/peer";
      if (!wasSilent && this.#waiting.size === 0) {
        this.#progressMs += this.#clock.monotonicMs() - Math.max(startMs, this.#progressMs);
      }
      throw error;
    }
  }

  /** That the init waits no longer, and for what it has waited. */
  gaveUp(endpoint: string, cause: BootstrapError, details: BootstrapErrorOptions["details"]): BootstrapError {
    const { lastSeen } = this;
    const waitedFor = cause.code === "timeout/init-step"
      ? `the step ${this.#last?.phase} of the node at ${endpoint}`
      : `the node at ${endpoint} to go on with the operation`;
    return new BootstrapError(
      "timeout/init",
      `Nothing came of the init for ${
        this.#patienceMs / MILLISECONDS
      } s: it waited for ${waitedFor}, and last saw ${lastSeen}`,
      {
        cause,
        next: "Run init again: it goes on with the same operation; `bootstrapper status` on the node says what it does",
        details: { ...details, waitedFor, lastSeen },
      },
    );
  }
}
