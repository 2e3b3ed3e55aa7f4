/**
 * The node lock as a machine: one way, and every effect an actor that is handed in.
 *
 * ```text
 *                        ┌───────── dropping ─────────┐
 *                        ▼                            │ no
 * reading ─ no lock ► waiting ─ TAKE ► staging ─► confirming ─ yes ► linking ─► measuring ─► locked
 *    │                                                                              ▲
 *    └─ a lock ─────────────────────────────────────────────────────────────────────┘
 *                     └───────────── unlocked ─────────────┘         └──── locking ─────┘
 * ```
 *
 * Any error ends in `failed`; the next start heals it. From `locking` on there is no way back.
 *
 * @module
 */
import type { PromiseActorLogic } from "xstate";
import { assign, setup } from "xstate";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { StagedFile } from "../platform/files.ts";
import type { LockOwner, LockRecord } from "./record.ts";

/** Who asks for the node, and for which cluster. */
export interface LockClaim {
  /** Who asks. */
  readonly owner: LockOwner;
  /** The cluster that the node shall belong to, 32 bytes. */
  readonly clusterId: Uint8Array;
  /**
   * Asked directly before `link(2)`, when nothing else can fail any more: whether the claim still stands, for example
   * because its connection does. If not, the node stays fresh. Synchronous, so that nothing happens between the answer
   * and the lock. Default: it does.
   */
  readonly confirm?: () => boolean;
}

/** What became of an attempt to link. */
export interface LinkOutcome {
  /** Whether this claim got the node. */
  readonly won: boolean;
  /** The lock as it is on disk now, this claim's or another's. */
  readonly lock: LockRecord;
}

/**
 * The effects of the machine.
 *
 * @internal
 */
export interface LockActors {
  /** Finds the lock, and syncs what it found. Fails if there is none though the TPM says that the node locked. */
  readonly readLock: PromiseActorLogic<LockRecord | undefined>;
  /** Puts the lock file on disk, whole and synced, under a temporary name. */
  readonly stageLock: PromiseActorLogic<StagedFile, LockClaim>;
  /** Removes a staged file. */
  readonly dropLock: PromiseActorLogic<void, StagedFile>;
  /** Links the staged file to the lock's name, and reads what has that name then. */
  readonly linkLock: PromiseActorLogic<LinkOutcome, StagedFile>;
  /** Measures the lock and reads the register back. */
  readonly measureLock: PromiseActorLogic<void, LockRecord>;
}

interface LockContext {
  /** Whether this machine's claim got the node. */
  readonly won: boolean;
  readonly claim?: LockClaim;
  readonly staged?: StagedFile;
  readonly lock?: LockRecord;
  readonly error?: BootstrapError;
}

/** Every error ends in `failed`. */
const orFail = {
  target: "#nodeLock.failed",
  actions: { type: "rememberError", params: ({ event }: { event: { error: unknown } }) => event.error },
} as const;

/**
 * The machine over its effects. `locked` and `failed` are final.
 *
 * @internal Its type is inferred; `lock.ts` is what others use.
 */
export function createLockMachine(actors: LockActors) {
  return setup({
    types: {
      context: {} as LockContext,
      events: {} as { readonly type: "TAKE"; readonly claim: LockClaim },
    },
    actors: { ...actors },
    guards: {
      noLockWasFound: (_, found: LockRecord | undefined) => found === undefined,
      theClaimStillStands: ({ context }) => context.claim?.confirm?.() ?? true,
    },
    actions: {
      rememberClaim: assign((_, claim: LockClaim) => ({ claim })),
      rememberStaged: assign((_, staged: StagedFile) => ({ staged })),
      rememberFound: assign((_, lock: LockRecord | undefined) => (lock === undefined ? {} : { lock })),
      rememberOutcome: assign((_, { won, lock }: LinkOutcome) => ({ won, lock })),
      rememberError: assign((_, error: unknown) => ({ error: asBootstrapError(error, "system/node-lock") })),
    },
  }).createMachine({
    id: "nodeLock",
    context: { won: false },
    initial: "reading",
    states: {
      reading: {
        invoke: {
          src: "readLock",
          onDone: [
            { guard: { type: "noLockWasFound", params: ({ event }) => event.output }, target: "unlocked" },
            { target: "locking.measuring", actions: { type: "rememberFound", params: ({ event }) => event.output } },
          ],
          onError: orFail,
        },
      },
      unlocked: {
        initial: "waiting",
        states: {
          waiting: {
            on: {
              TAKE: {
                target: "staging",
                actions: { type: "rememberClaim", params: ({ event }) => event.claim },
              },
            },
          },
          staging: {
            invoke: {
              src: "stageLock",
              input: ({ context }) => present(context.claim),
              onDone: {
                target: "confirming",
                actions: { type: "rememberStaged", params: ({ event }) => event.output },
              },
              onError: orFail,
            },
          },
          confirming: {
            always: [{ guard: "theClaimStillStands", target: "#nodeLock.locking" }, { target: "dropping" }],
          },
          dropping: {
            invoke: {
              src: "dropLock",
              input: ({ context }) => present(context.staged),
              onDone: { target: "waiting" },
              onError: orFail,
            },
          },
        },
      },
      locking: {
        initial: "linking",
        states: {
          linking: {
            invoke: {
              src: "linkLock",
              input: ({ context }) => present(context.staged),
              onDone: {
                target: "measuring",
                actions: { type: "rememberOutcome", params: ({ event }) => event.output },
              },
              onError: orFail,
            },
          },
          measuring: {
            invoke: {
              src: "measureLock",
              input: ({ context }) => present(context.lock),
              onDone: { target: "#nodeLock.locked" },
              onError: orFail,
            },
          },
        },
      },
      locked: { type: "final" },
      failed: { type: "final" },
    },
  });
}

/** What an earlier state of the machine remembered. */
function present<T>(value: T | undefined): T {
  if (value === undefined) throw new BootstrapError("internal/node-lock", "The node lock is in an impossible state");
  return value;
}
