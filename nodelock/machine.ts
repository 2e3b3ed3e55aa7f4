/**
 * The node lock as a machine: one way, and every effect is an actor that is passed in.
 *
 * ```text
 * reading ── no lock ──► unlocked ── TAKE ──► locking ── linked and measured ──► locked
 *    └─────────────────── a lock ───────────────▲
 * ```
 *
 * An error of an effect ends in `failed`; the next start reads what is on disk.
 *
 * @module
 */
import type { PromiseActorLogic } from "xstate";
import { assign, setup } from "xstate";
import { asBootstrapError, type BootstrapError } from "../platform/errors.ts";
import type { StagedFile } from "../platform/files.ts";
import type { LockRecord } from "./record.ts";

/** How locking ended: whether this machine's lock got the name, and the lock that has it, this machine's or another's. */
export interface LockOutcome {
  readonly won: boolean;
  readonly lock: LockRecord;
}

/** The effects of the machine. */
export interface LockActors {
  /** Reads the lock. Fails if there is none although the TPM shows one. */
  readonly readLock: PromiseActorLogic<LockRecord | undefined>;
  /** Links the staged lock to its name, unless a lock was found; then syncs and measures the lock that has the name. */
  readonly linkAndMeasure: PromiseActorLogic<LockOutcome, StagedFile | undefined>;
}

interface LockContext {
  readonly staged?: StagedFile;
  readonly outcome?: LockOutcome;
  readonly error?: BootstrapError;
}

const orFail = {
  target: "failed",
  actions: { type: "rememberError", params: ({ event }: { event: { error: unknown } }) => event.error },
} as const;

/**
 * The machine over its effects. `locked`, which has an `outcome`, and `failed`, which has an `error`, are final.
 *
 * @internal Its type is inferred; `lock.ts` is what others use.
 */
export function createLockMachine(actors: LockActors) {
  return setup({
    types: {
      context: {} as LockContext,
      events: {} as { readonly type: "TAKE"; readonly staged: StagedFile },
    },
    actors: { ...actors },
    guards: { aLockWasFound: (_, found: LockRecord | undefined) => found !== undefined },
    actions: {
      rememberStaged: assign((_, staged: StagedFile) => ({ staged })),
      rememberOutcome: assign((_, outcome: LockOutcome) => ({ outcome })),
      rememberError: assign((_, error: unknown) => ({ error: asBootstrapError(error, "system/node-lock") })),
    },
  }).createMachine({
    context: {},
    initial: "reading",
    states: {
      reading: {
        invoke: {
          src: "readLock",
          onDone: [
            { guard: { type: "aLockWasFound", params: ({ event }) => event.output }, target: "locking" },
            { target: "unlocked" },
          ],
          onError: orFail,
        },
      },
      unlocked: {
        on: { TAKE: { target: "locking", actions: { type: "rememberStaged", params: ({ event }) => event.staged } } },
      },
      locking: {
        invoke: {
          src: "linkAndMeasure",
          input: ({ context }) => context.staged,
          onDone: { target: "locked", actions: { type: "rememberOutcome", params: ({ event }) => event.output } },
          onError: orFail,
        },
      },
      locked: { type: "final" },
      failed: { type: "final" },
    },
  });
}
