/**
 * The node lock as a state machine. It runs in one direction, and every effect is an actor that the caller provides.
 *
 * ```text
 * reading ── no lock ──► unlocked ── TAKE ──► locking ── linked and measured ──► locked
 *    └─────────────────── a lock ───────────────▲
 * ```
 *
 * An error of an effect leads to `failed`. The next start reads the lock from disk again.
 *
 * @module
 */
import type { PromiseActorLogic } from "xstate";
import { assign, setup } from "xstate";
import { asBootstrapError, type BootstrapError } from "../platform/errors.ts";
import type { StagedFile } from "../platform/files.ts";
import type { LockRecord } from "./record.ts";

/** The result of locking: whether this machine's staged lock got the name, and the lock that has the name now. */
export interface LockOutcome {
  readonly won: boolean;
  readonly lock: LockRecord;
}

/** The effects of the machine. */
export interface LockActors {
  /** Reads the lock. It fails if there is no lock although the TPM shows one. */
  readonly readLock: PromiseActorLogic<LockRecord | undefined>;
  /**
   * Links the staged lock to its name, unless a lock was found. Then it syncs and measures the lock that has the name.
   */
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
 * Creates the state machine over its effects. Its final states are `locked`, which has an `outcome`, and `failed`,
 * which has an `error`.
 *
 * @internal Its type is inferred. Other modules use `lock.ts`.
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
