/**
 * The life of a node from its start to membership: an InitServer and a JoinClient race for the node's lock.
 *
 * | state        | what runs               | ends by                                             |
 * |--------------|-------------------------|-----------------------------------------------------|
 * | detecting    | measure, read the lock  | member, initialising, joining, racing               |
 * | racing       | InitServer, JoinClient  | the lock, or a contender that fails                 |
 * | initialising | InitServer              | the cluster runs and its operator has the keys      |
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

/** The state in which the bootstrapper finds a node when it starts. */
export type Detected = "fresh" | "locked by init" | "locked by join" | "member";

/** The events that the contenders send. */
export type RaceEvent =
  | { readonly type: "INIT_LOCKED" | "JOIN_LOCKED" | "INIT_DONE" | "JOIN_DONE" }
  | { readonly type: "INIT_FAILED" | "JOIN_FAILED"; readonly error: BootstrapError };

/** The effects of the race. Each one ends the work that it began when it is stopped. */
export interface RaceActors {
  /** Measures the node and returns its state. */
  readonly detect: PromiseActorLogic<Detected>;
  /** Serves Init, or continues an init that has taken the lock. */
  readonly initServer: CallbackActorLogic<RaceEvent>;
  /** Obtains a ticket and joins, or continues a join that has taken the lock. */
  readonly joinClient: CallbackActorLogic<RaceEvent>;
}

/** The result of the race. */
export interface RaceContext {
  /** The reason for a failure. */
  readonly error: BootstrapError | undefined;
}

const found = (what: Detected) => ({ event }: { readonly event: { readonly output: Detected } }) =>
  event.output === what;

/**
 * Creates the state machine of the race over its effects. The states `member` and `failed` are final.
 *
 * @internal Its type is inferred; other modules use `run.ts`.
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
