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
import type { LockOutcome } from "./machine.ts";
import { createLockMachine } from "./machine.ts";
import { checkNeverLocked, measureLock } from "./measure.ts";
import type { LockOwner, LockRecord } from "./record.ts";

/** What the node lock needs. */
export interface NodeLockOptions {
  /** The state folder, which exists. */
  readonly folder: string;
  /** Where the lock is measured; none in development without a TPM. */
  readonly registers?: MeasurementRegisters;
  /** Dates the lock. */
  readonly clock: Pick<Clock, "now">;
}

/** Where the node stands. `locking`: the lock may be linked, but PCR 15 does not show it yet. */
export type NodeLockState =
  | { readonly name: "unlocked" | "locking" }
  | { readonly name: "locked"; readonly lock: LockRecord }
  | { readonly name: "failed"; readonly error: BootstrapError };

/** Who asks for the node, and for which cluster. */
export interface LockClaim {
  readonly owner: LockOwner;
  /** The cluster that the node shall belong to, 32 bytes. */
  readonly clusterId: Uint8Array;
  /**
   * Asked directly before `link(2)`, when the lock is on disk under a temporary name: whether the claim still stands, for
   * example because its connection does. If not, the node stays fresh. Synchronous, so that nothing happens between the
   * answer and the link. Default: it does.
   */
  readonly confirm?: () => boolean;
}

/** The node lock of this node. */
export interface NodeLock {
  /** Where the node stands, now. */
  state(): NodeLockState;
  /**
   * Takes the node for a cluster. Of any number of contenders, in one process or many, exactly one gets `true`, and it
   * gets it when the lock is on disk, measured and read back. The others get `false`, and {@linkcode state} says who
   * holds the node; it says `unlocked` only to a claim that did not stand any more.
   *
   * @throws {BootstrapError} What failed. Before the link, {@linkcode state} still says `unlocked`; from the link on it
   *   says `failed`, every later claim gets the same error, and the next start heals it.
   */
  take(claim: LockClaim): Promise<boolean>;
}

/**
 * Finds out whether the node is locked, and measures the lock if it is. The caller holds the run lock.
 *
 * @returns The lock, `unlocked` or `locked`.
 * @throws {BootstrapError} `malformed/lock-record` for a file that is no lock, `precondition/lock-missing` if there is
 *   none but PCR 15 is not zero, `precondition/register` if PCR 15 holds something else than the lock's value, `system/…`.
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
      if (lock === undefined) throw new BootstrapError("system/node-lock", `${file.path} vanished as it was taken`);
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
