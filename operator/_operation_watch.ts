import type { Clock } from "../platform/clock.ts";
import { SECOND_MS } from "../platform/duration.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { BootstrapErrorOptions } from "../platform/errors.ts";
import type { ProgressEvent } from "../proto/gen/bootstrapper.ts";
import { INIT_STEPS_BEFORE, LOCK_STEP, PREFLIGHT_STEP } from "../protocol/init_steps.ts";

const BEFORE: readonly string[] = INIT_STEPS_BEFORE;
/** An init has some 110 events. A node that has reported more places than this makes no progress, whatever it says. */
const MAXIMUM_PLACES = 1_000;
const STATUS_SAYS = "`bootstrapper status` on the node says what it does";
const RUN_AGAIN = `Run init again: it goes on with the same operation; ${STATUS_SAYS}`;
const BEGIN_AGAIN = `Run init again: the node has not begun; ${STATUS_SAYS}`;

/** What an operator's init has seen of its operation, over all its connections to the node. */
export class OperationWatch {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #patienceMs: number;
  /** The places in the steps that were reported. A restarted node repeats them until it gets further than before. */
  readonly #reached = new Set<string>();
  #isLocked = false;
  #isLocking = false;
  #heard = 0;
  #last: ProgressEvent | undefined;
  /** When progress was last made, moved forward by the time in which a connected node worked at something new. */
  #progressMs: number;
  /** Whether the last reported step does something new: it is in its first try, or in a later try that got further. */
  #isNew = false;
  /** Since when the connected node has been silent; `Infinity` while no node is followed. */
  #followedMs = Infinity;
  #wasFollowed = false;

  /** @param patienceMs How long the operation may make no progress, milliseconds. */
  constructor(clock: Pick<Clock, "monotonicMs">, patienceMs: number) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    this.#progressMs = clock.monotonicMs();
  }

  /** Whether the node is locked for the operation. It then continues, whatever happens to a connection. */
  get isLocked(): boolean {
    return this.#isLocked;
  }

  /**
   * Whether the node was about to take its lock. If it is not known to be locked, the next connection shows whether it
   * is.
   */
  get mayBeLocked(): boolean {
    return this.#isLocked || this.#isLocking;
  }

  /** The number of the last event, or 0. */
  get heard(): number {
    return this.#heard;
  }

  /** Whether the operation has made no progress for longer than the patience. */
  get isOver(): boolean {
    return this.#leftMs <= 0;
  }

  /** The last event, as text for people. */
  get lastSeen(): string {
    if (this.#last === undefined) return "no event of the node";
    const { phase, state, detail } = this.#last;
    return `the step ${phase} ${state}${detail === "" ? "" : `: ${detail}`}`;
  }

  get #leftMs(): number {
    return this.#patienceMs - (this.#clock.monotonicMs() - this.#progressMs);
  }

  /** Whether the node does nothing, by its last event: it waits before another try, or has not begun. */
  get #isIdle(): boolean {
    return this.#last === undefined || this.#last.state === "waiting" || this.#last.state === "failed";
  }

  /**
   * How long a connected node may be silent from now on, milliseconds. A step may take long, but a step that waits for
   * another try has only the rest of the patience.
   *
   * @param longestMs The longest silence of a step.
   */
  silenceMs(longestMs: number): number {
    return this.#isIdle ? Math.min(longestMs, Math.max(0, Math.ceil(this.#leftMs))) : longestMs;
  }

  /** Records that the node has shown that it continues the operation. */
  goesOn(heard: number): void {
    this.#isLocked = true;
    this.#heard = Math.max(this.#heard, heard);
  }

  /** Records that the node has shown that it was not locked for the operation. */
  staysFresh(): void {
    this.#isLocking = false;
  }

  /** Records that the node is about to be asked: from then on it may lock, whether or not its events arrive. */
  mayLock(): void {
    this.#isLocking = true;
  }

  /**
   * Records that the operation begins anew, at a node that was lost before its lock. What it had reached before is not
   * progress a second time.
   */
  beginsAnew(): void {
    this.staysFresh();
    this.#heard = 0;
    this.#last = undefined;
    this.#isNew = false;
  }

  /**
   * Records an event. Progress is a step that is started or done for the first time, or a detail that was not heard
   * before. A node that fails at the same place after each restart makes no progress.
   *
   * @returns Whether the event is progress.
   * @throws {BootstrapError} `timeout/init-step` for a step that is retried for longer than the patience.
   */
  hear(event: ProgressEvent): boolean {
    const { number, phase, state, detail } = event;
    this.#countFollowing();
    this.#heard = number;
    this.#last = event;
    if (phase === LOCK_STEP || (phase === PREFLIGHT_STEP && state === "done")) this.#isLocking = true;
    if (!BEFORE.includes(phase) || (phase === LOCK_STEP && state === "done")) this.#isLocked = true;
    const isProgress = this.#reach(event);
    // A repeated detail does not say which try it belongs to.
    if (isProgress || state !== "detail") this.#isNew = isProgress;
    if (isProgress) this.#progressMs = this.#clock.monotonicMs();
    if (state === "waiting" && this.isOver) {
      throw new BootstrapError("timeout/init-step", `The step ${phase} of the node keeps failing: ${detail}`);
    }
    return isProgress;
  }

  /**
   * Follows the operation at a connected node. The time in which such a node works at something new does not count,
   * unless the node is silent for too long. The first call, when the node is asked for the operation, starts the
   * patience.
   */
  async following<T>(work: () => Promise<T>): Promise<T> {
    this.#followedMs = this.#clock.monotonicMs();
    if (!this.#wasFollowed) this.#progressMs = this.#followedMs;
    this.#wasFollowed = true;
    try {
      return await work();
    } catch (error) {
      const wasSilent = error instanceof BootstrapError && error.code === "timeout/peer";
      if (!wasSilent) this.#countFollowing();
      throw error;
    } finally {
      this.#followedMs = Infinity;
    }
  }

  /** The error that says that the init no longer waits, and what it waited for. */
  gaveUp(endpoint: string, cause: BootstrapError, details: BootstrapErrorOptions["details"]): BootstrapError {
    const { lastSeen } = this;
    const runAgain = this.mayBeLocked ? RUN_AGAIN : BEGIN_AGAIN;
    const isOfStep = cause.code === "timeout/init-step" || (cause.code === "timeout/peer" && this.#isIdle);
    const waitedFor = isOfStep && this.#last !== undefined
      ? `the step ${this.#last.phase} of the node at ${endpoint}`
      : `the node at ${endpoint} to ${this.mayBeLocked ? "go on with" : "begin"} the operation`;
    return new BootstrapError(
      "timeout/init",
      `The init made no progress for ${
        this.#patienceMs / SECOND_MS
      } s: it waited for ${waitedFor}, and last saw ${lastSeen}`,
      {
        cause,
        next: cause.next === "" ? runAgain : `${runAgain}. ${cause.next}`,
        details: { ...details, waitedFor, lastSeen },
      },
    );
  }

  /** Moves the last progress forward by the time since the last event, if a connected node worked at something new. */
  #countFollowing(): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#isNew) this.#progressMs += Math.max(0, nowMs - Math.max(this.#followedMs, this.#progressMs));
    this.#followedMs = Math.max(this.#followedMs, nowMs);
  }

  /** Whether an event shows that the node has got further than before. */
  #reach({ phase, state, detail }: ProgressEvent): boolean {
    if (state === "waiting" || state === "failed") return false;
    // Numbers differ from run to run: kubeadm reports after how many seconds the kubelet was healthy.
    const place = `${phase} ${state} ${detail.replaceAll(/\d+/g, "#")}`;
    if (this.#reached.has(place) || this.#reached.size >= MAXIMUM_PLACES) return false;
    this.#reached.add(place);
    return true;
  }
}
