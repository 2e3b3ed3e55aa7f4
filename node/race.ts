/**
 * The life of a node from its start to membership: an InitServer and a JoinClient race for the node's lock.
 *
 * | state        | what runs               | ends by                                             |
 * |--------------|-------------------------|-----------------------------------------------------|
 * | detecting    | measure, read the lock  | member, initialising, joining, racing               |
 * | racing       | InitServer, JoinClient  | the lock, or a contender that cannot go on          |
 * | initialising | InitServer              | the cluster stands and its operator has the keys    |
 * | joining      | JoinClient              | the node is registered with its cluster             |
 * | member       | nothing                 | –                                                   |
 * | failed       | nothing                 | –                                                   |
 *
 * @module
 */
import type { CallbackActorLogic, PromiseActorLogic } from "xstate";
import { assign, setup, spawnChild, stopChild } from "xstate";
import type { BootstrapError } from "../platform/errors.ts";
import { asBootstrapError } from "../platform/errors.ts";

/** What a node is found to be when the bootstrapper starts. */
export type Detected = "fresh" | "locked by init" | "locked by join" | "member";

/** What the contenders say. */
export type RaceEvent =
  | { readonly type: "INIT_LOCKED" | "JOIN_LOCKED" | "INIT_DONE" | "JOIN_DONE" }
  | { readonly type: "INIT_FAILED" | "JOIN_FAILED"; readonly error: BootstrapError };

/** The effects: each ends what it began when it is stopped. */
export interface RaceActors {
  /** Measures, and says what the node is. */
  readonly detect: PromiseActorLogic<Detected>;
  /** Serves Init, and goes on with one that is locked. */
  readonly initServer: CallbackActorLogic<RaceEvent>;
  /** Asks for a ticket and joins, and goes on with a join that is locked. */
  readonly joinClient: CallbackActorLogic<RaceEvent>;
}

/** What the race knows at its end. */
export interface RaceContext {
  /** Why it failed. */
  readonly error: BootstrapError | undefined;
}

const found = (what: Detected) => ({ event }: { readonly event: { readonly output: Detected } }) =>
  event.output === what;

/**
 * The race over its effects. `member` and `failed` are final.
 *
 * @internal Its type is inferred; `run.ts` is what others use.
 */
export function createRaceMachine(actors: RaceActors) {
  return setup({
    types: { context: {} as RaceContext, events: {} as RaceEvent },
    actors: { ...actors },
    actions: {
      startInitServer: spawnChild("initServer", { id: "initServer" }),
      startJoinClient: spawnChild("joinClient", { id: "joinClient" }),
      stopInitServer: stopChild("initServer"),
      stopJoinClient: stopChild("joinClient"),
      keepError: assign({ error: ({ event }) => "error" in event ? asBootstrapError(event.error) : undefined }),
    },
  }).createMachine({
    context: { error: undefined },
    initial: "detecting",
    states: {
      detecting: {
        invoke: {
          src: "detect",
          onDone: [
            { guard: found("member"), target: "member" },
            { guard: found("locked by init"), target: "initialising", actions: "startInitServer" },
            { guard: found("locked by join"), target: "joining", actions: "startJoinClient" },
            { target: "racing", actions: ["startInitServer", "startJoinClient"] },
          ],
          onError: { target: "failed", actions: "keepError" },
        },
      },
      racing: {
        on: {
          INIT_LOCKED: { target: "initialising", actions: "stopJoinClient" },
          JOIN_LOCKED: { target: "joining", actions: "stopInitServer" },
          INIT_FAILED: { target: "failed", actions: ["stopJoinClient", "keepError"] },
          JOIN_FAILED: { target: "failed", actions: ["stopInitServer", "keepError"] },
        },
      },
      initialising: {
        on: { INIT_DONE: "member", INIT_FAILED: { target: "failed", actions: "keepError" } },
      },
      joining: {
        on: { JOIN_DONE: "member", JOIN_FAILED: { target: "failed", actions: "keepError" } },
      },
      member: { type: "final" },
      failed: { type: "final" },
    },
  });
}
