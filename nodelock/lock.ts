/**
 * The node lock, as the rest of the program uses it: promises over the machine, with the real effects.
 *
 * @module
 */
import { createActor, fromPromise, waitFor } from "xstate";
import type { MeasurementRegisters } from "../attestation/evidence.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { LockFile } from "./file.ts";
import type { LockActors, LockClaim } from "./machine.ts";
import { createLockMachine } from "./machine.ts";
import { checkNeverLocked, measureLock } from "./measure.ts";
import type { LockRecord } from "./record.ts";

/** What the node lock needs. */
export interface NodeLockOptions {
  /** The state folder, which exists. */
  readonly folder: string;
  /** Where the lock is measured; none in development without a TPM. */
  readonly registers?: MeasurementRegisters;
  /** Dates the lock. */
  readonly clock: Pick<Clock, "now">;
  /** Ends the opening; a lock that is being taken is always taken to its end. */
  readonly signal?: AbortSignal;
}

/** Where the node stands. `locking` means: perhaps linked, but not yet shown by PCR 15. */
export type NodeLockState =
  | { readonly name: "unlocked" | "locking" }
  | { readonly name: "locked"; readonly lock: LockRecord }
  | { readonly name: "failed"; readonly error: BootstrapError };

/** The node lock of this node. */
export interface NodeLock {
  /** Where the node stands, now. */
  state(): NodeLockState;
  /**
   * Takes the node for a cluster. Of any number of contenders, in one process or many, exactly one gets `true`, and it
   * gets it when the lock is on disk, measured and read back. The others get `false`, and {@linkcode state} says who
   * holds the node; it says `unlocked` only to a claim that did not stand any more.
   *
   * @throws {BootstrapError} What made it fail, for this contender and all after it; the next start heals it.
   */
  take(claim: LockClaim): Promise<boolean>;
}

/**
 * Finds out whether the node is locked, and measures the lock if it is. The caller holds the run lock.
 *
 * @returns The lock, `unlocked` or `locked`.
 * @throws {BootstrapError} `malformed/lock-record` for a file that is no lock, `precondition/lock-missing` if there is
 *   none but PCR 15 is not zero, `precondition/register` if PCR 15 holds something else than the lock's value,
 *   `aborted/node-lock`, `system/…`.
 */
export async function openNodeLock(options: NodeLockOptions): Promise<NodeLock> {
  const actor = createActor(createLockMachine(lockActors(options)));

  function state(): NodeLockState {
    const { value, context } = actor.getSnapshot();
    if (context.error !== undefined) return { name: "failed", error: context.error };
    if (value === "locked" && context.lock !== undefined) return { name: "locked", lock: context.lock };
    return { name: typeof value === "object" && "unlocked" in value ? "unlocked" : "locking" };
  }

  async function settle(signal?: AbortSignal): Promise<NodeLockState> {
    await waitFor(
      actor,
      (snapshot) => snapshot.status === "done" || snapshot.matches({ unlocked: "waiting" }),
      signal && { signal },
    );
    const settled = state();
    if (settled.name === "failed") throw settled.error;
    return settled;
  }

  async function takeInTurn(claim: LockClaim): Promise<boolean> {
    const { name } = await settle();
    if (name === "locked") return false;
    let doubt: unknown;
    const confirm = () => {
      try {
        return claim.confirm?.() ?? true;
      } catch (error) {
        doubt = error;
        return false;
      }
    };
    actor.send({ type: "TAKE", claim: { ...claim, confirm } });
    await settle();
    if (doubt !== undefined) throw doubt;
    return actor.getSnapshot().context.won;
  }

  let lastTurn: Promise<unknown> = Promise.resolve();
  function take(claim: LockClaim): Promise<boolean> {
    const turn = lastTurn.then(() => takeInTurn(claim));
    lastTurn = turn.catch(() => {});
    return turn;
  }

  actor.start();
  try {
    await settle(options.signal);
  } catch (error) {
    actor.stop();
    if (!options.signal?.aborted) throw error;
    throw new BootstrapError("aborted/node-lock", "Opening the node lock was stopped", { cause: error });
  }
  return { state, take };
}

function lockActors({ folder, registers, clock }: NodeLockOptions): LockActors {
  const file = new LockFile(folder);
  return {
    readLock: fromPromise(async () => {
      const lock = await file.readDurably();
      if (lock === undefined && registers !== undefined) await checkNeverLocked(registers);
      return lock;
    }),
    stageLock: fromPromise(({ input: { owner, clusterId } }) => file.stage({ owner, clusterId, time: clock.now() })),
    dropLock: fromPromise(({ input: staged }) => staged.discard()),
    linkLock: fromPromise(async ({ input: staged }) => {
      const won = await staged.link();
      const lock = await file.readDurably();
      if (lock === undefined) throw new BootstrapError("system/node-lock", `${file.path} vanished as it was taken`);
      return { won, lock };
    }),
    measureLock: fromPromise(async ({ input: lock }) => {
      if (registers !== undefined) await measureLock(registers, lock.clusterId);
    }),
  };
}
