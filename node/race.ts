/**
 * The life of a node from its start to membership: an InitServer, a founder and a JoinClient race for the node's lock.
 * An InitServer and a founder are never on one node, and on many nodes there is neither.
 *
 * | state        | what runs                        | ends by                                                 |
 * |--------------|----------------------------------|---------------------------------------------------------|
 * | detecting    | measure, read the lock           | member, initialising, joining, racing                   |
 * | racing       | InitServer, founder, JoinClient  | the lock, or a contender that fails                     |
 * | initialising | InitServer or founder            | the cluster runs, and its operator or its founders know |
 * | joining      | JoinClient, founder              | the node is registered with its cluster                 |
 * | leaving      | founder                          | the founders need it no more                            |
 * | member       | nothing                          | –                                                       |
 * | failed       | nothing                          | –                                                       |
 *
 * A founder goes on voting while the JoinClient joins the cluster that another founder makes.
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
  | { readonly type: "INIT_LOCKED" | "FOUND_LOCKED" | "JOIN_LOCKED" }
  | { readonly type: "INIT_DONE" | "FOUND_DONE" | "JOIN_DONE" | "FOUNDER_LEFT" }
  | { readonly type: "INIT_FAILED" | "FOUND_FAILED" | "JOIN_FAILED"; readonly error: BootstrapError };

/** The effects of the race. Each one ends the work that it began when it is stopped. */
export interface RaceActors {
  /** Measures the node and returns its state. */
  readonly detect: PromiseActorLogic<Detected>;
  /** Serves Init, or continues an init that has taken the lock. */
  readonly initServer: CallbackActorLogic<RaceEvent>;
  /**
   * Founds a cluster among equals, or continues that, and leaves when the founders need this one no more. Where the node
   * founds none, it leaves at once.
   */
  readonly founder: CallbackActorLogic<RaceEvent>;
  /** Obtains a ticket and joins, or continues a join that has taken the lock. */
  readonly joinClient: CallbackActorLogic<RaceEvent>;
}

/** The result of the race. */
export interface RaceContext {
  /** The reason for a failure. */
  readonly error: BootstrapError | undefined;
  /** Whether the founder has left. */
  readonly hasLeft: boolean;
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
      startFounder: spawnChild("founder", { id: "founder" }),
      startJoinClient: spawnChild("joinClient", { id: "joinClient" }),
      stopInitServer: stopChild("initServer"),
      stopJoinClient: stopChild("joinClient"),
      noteLeft: assign({ hasLeft: true }),
      keepError: assign({ error: ({ event }) => "error" in event ? asBootstrapError(event.error) : undefined }),
    },
    guards: { hasLeft: ({ context }) => context.hasLeft },
  }).createMachine({
    context: { error: undefined, hasLeft: false },
    initial: "detecting",
    states: {
      detecting: {
        invoke: {
          src: "detect",
          onDone: [
            { guard: found("member"), target: "member" },
            { guard: found("locked by init"), target: "initialising", actions: ["startInitServer", "startFounder"] },
            { guard: found("locked by join"), target: "joining", actions: ["startJoinClient", "startFounder"] },
            { target: "racing", actions: ["startInitServer", "startFounder", "startJoinClient"] },
          ],
          onError: { target: "failed", actions: "keepError" },
        },
      },
      racing: {
        on: {
          INIT_LOCKED: { target: "initialising", actions: "stopJoinClient" },
          FOUND_LOCKED: { target: "initialising", actions: "stopJoinClient" },
          JOIN_LOCKED: { target: "joining", actions: "stopInitServer" },
          FOUNDER_LEFT: { actions: "noteLeft" },
          INIT_FAILED: { target: "failed", actions: "keepError" },
          FOUND_FAILED: { target: "failed", actions: "keepError" },
          JOIN_FAILED: { target: "failed", actions: "keepError" },
        },
      },
      initialising: {
        on: {
          INIT_DONE: "leaving",
          FOUND_DONE: "leaving",
          FOUNDER_LEFT: { actions: "noteLeft" },
          INIT_FAILED: { target: "failed", actions: "keepError" },
          FOUND_FAILED: { target: "failed", actions: "keepError" },
        },
      },
      joining: {
        on: {
          JOIN_DONE: "leaving",
          FOUNDER_LEFT: { actions: "noteLeft" },
          JOIN_FAILED: { target: "failed", actions: "keepError" },
          FOUND_FAILED: { target: "failed", actions: "keepError" },
        },
      },
      leaving: {
        always: { guard: "hasLeft", target: "member" },
        on: {
          FOUNDER_LEFT: "member",
          FOUND_FAILED: { target: "failed", actions: "keepError" },
        },
      },
      member: { type: "final" },
      failed: { type: "final" },
    },
  });
}
