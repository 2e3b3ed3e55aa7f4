/**
 * The interface of the node lock for the rest of the program: promises over the state machine, with the real effects.
 *
 * @module
 */
import { createActor, fromPromise, waitFor } from "xstate";
import type { MeasurementRegisters } from "../attestation/evidence.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { LockFile } from "./file.ts";
import type { LockOutcome } from "./machine.ts";
import { createLockMachine } from "./machine.ts";
import { checkNeverLocked, measureLock } from "./measure.ts";
import type { LockOwner, LockRecord } from "./record.ts";

/** The dependencies of the node lock. */
export interface NodeLockOptions {
  /** The state folder, which must exist. */
  readonly folder: string;
  /** The registers that the lock is measured into; absent in development without a TPM. */
  readonly registers?: MeasurementRegisters;
  /** The clock that dates the lock. */
  readonly clock: Pick<Clock, "now">;
}

/** The lock state of the node. In `locking`, the lock may be linked, but PCR 15 does not show it yet. */
export type NodeLockState =
  | { readonly name: "unlocked" | "locking" }
  | { readonly name: "locked"; readonly lock: LockRecord }
  | { readonly name: "failed"; readonly error: BootstrapError };

/** A request to take the node for a cluster. */
export interface LockClaim {
  readonly owner: LockOwner;
  /** The cluster that the node will belong to, 32 bytes. */
  readonly clusterId: Uint8Array;
  /**
   * Returns whether the claim still stands, for example because its connection does. It is called directly before
   * `link(2)`, when the lock is on disk under a temporary name. If it returns false, the node stays fresh. It is
   * synchronous, so that nothing happens between the answer and the link. Default: the claim stands.
   */
  readonly confirm?: () => boolean;
}

/** The node lock of this node. */
export interface NodeLock {
  /** Returns the current state. */
  state(): NodeLockState;
  /**
   * Takes the node for a cluster. Of any number of contenders, in one process or many, exactly one gets `true`, after
   * the lock is on disk, measured and read back. The others get `false`, and {@linkcode state} tells the holder of the
   * node. It is `unlocked` only if the claim no longer stood.
   *
   * @throws {BootstrapError} The cause of the failure. After a failure before the link, {@linkcode state} is still
   *   `unlocked`. After a later failure it is `failed`, every later claim gets the same error, and the next start
   *   repairs it.
   */
  take(claim: LockClaim): Promise<boolean>;
}

/**
 * Determines whether the node is locked, and measures the lock if it is. The caller must hold the run lock.
 *
 * @returns The lock in the state `unlocked` or `locked`.
 * @throws {BootstrapError} `malformed/lock-record` for a file that is not a lock, `precondition/lock-missing` if there
 *   is no lock but PCR 15 is not zero, `precondition/register` if PCR 15 holds another value than the lock's,
 *   `system/…`.
 */
export async function openNodeLock({ folder, registers, clock }: NodeLockOptions): Promise<NodeLock> {
  const file = new LockFile(folder);
  const actor = createActor(createLockMachine({
    readLock: fromPromise(async () => {
      const lock = await file.read();
      if (lock === undefined && registers !== undefined) await checkNeverLocked(registers);
      return lock;
    }),
    linkAndMeasure: fromPromise(async ({ input: staged }) => {
      const won = staged !== undefined && await staged.link();
      const lock = await file.readDurably();
      if (lock === undefined) throw new BootstrapError("system/node-lock", `${file.path} vanished while it was taken`);
      if (registers !== undefined) await measureLock(registers, lock.clusterId);
      return { won, lock };
    }),
  }));

  function state(): NodeLockState {
    const { value, context: { outcome, error } } = actor.getSnapshot();
    if (error !== undefined) return { name: "failed", error };
    if (outcome !== undefined) return { name: "locked", lock: outcome.lock };
    return { name: value === "unlocked" ? "unlocked" : "locking" };
  }

  async function settle(): Promise<LockOutcome | undefined> {
    const { context } = await waitFor(actor, ({ status, value }) => status === "done" || value === "unlocked");
    if (context.error !== undefined) throw context.error;
    return context.outcome;
  }

  async function takeInTurn({ owner, clusterId, confirm = () => true }: LockClaim): Promise<boolean> {
    if (await settle() !== undefined) return false;
    const staged = await file.stage({ owner, clusterId, time: clock.now() });
    let stands = false;
    try {
      stands = confirm();
    } finally {
      if (!stands) await staged.discard();
    }
    if (stands) actor.send({ type: "TAKE", staged });
    return (await settle())?.won === true;
  }

  let lastTurn: Promise<unknown> = Promise.resolve();
  function take(claim: LockClaim): Promise<boolean> {
    const turn = lastTurn.then(() => takeInTurn(claim));
    lastTurn = turn.catch(() => {});
    return turn;
  }

  actor.start();
  await settle();
  return { state, take };
}
