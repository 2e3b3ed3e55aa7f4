import assert from "node:assert/strict";
import { createActor, fromCallback, fromPromise, waitFor } from "xstate";
import { BootstrapError } from "../platform/errors.ts";
import type { Detected, RaceEvent } from "./race.ts";
import { createRaceMachine } from "./race.ts";

type Contender = "init" | "found" | "join";

/** Runs a race with scripted effects; returns the contenders that ran and those that were stopped. */
function race(found: Detected | BootstrapError) {
  const running = new Set<Contender>();
  const started: Contender[] = [];
  const contender = (name: Contender) =>
    fromCallback<RaceEvent>(() => {
      running.add(name);
      started.push(name);
      return () => void running.delete(name);
    });
  const actor = createActor(createRaceMachine({
    detect: fromPromise<Detected>(() =>
      found instanceof BootstrapError ? Promise.reject(found) : Promise.resolve(found)
    ),
    initServer: contender("init"),
    founder: contender("found"),
    joinClient: contender("join"),
  }));
  const states: string[] = [];
  actor.subscribe(({ value }) => {
    if (states.at(-1) !== value) states.push(String(value));
  });
  actor.start();
  return { actor, states, started, running, ready: waitFor(actor, (snapshot) => !snapshot.matches("detecting")) };
}

const error = new BootstrapError("system/kubeadm", "kubeadm failed");

const paths: {
  readonly name: string;
  readonly found: Detected | BootstrapError;
  readonly events: readonly RaceEvent[];
  readonly states: readonly string[];
  readonly started: readonly Contender[];
  readonly survivors: readonly Contender[];
}[] = [
  { name: "a member starts nothing", found: "member", events: [], states: ["member"], started: [], survivors: [] },
  {
    name: "nothing starts when detecting fails",
    found: error,
    events: [],
    states: ["failed"],
    started: [],
    survivors: [],
  },
  {
    name: "a fresh node starts both contenders",
    found: "fresh",
    events: [],
    states: ["racing"],
    started: ["init", "found", "join"],
    survivors: ["init", "found", "join"],
  },
  {
    name: "JoinClient is stopped when Init takes the lock",
    found: "fresh",
    events: [{ type: "INIT_LOCKED" }],
    states: ["racing", "initialising"],
    started: ["init", "found", "join"],
    survivors: ["init", "found"],
  },
  {
    name: "InitServer is stopped when JoinClient takes the lock",
    found: "fresh",
    events: [{ type: "JOIN_LOCKED" }],
    states: ["racing", "joining"],
    started: ["init", "found", "join"],
    survivors: ["found", "join"],
  },
  {
    name: "an init ends in a member",
    found: "fresh",
    events: [{ type: "FOUNDER_LEFT" }, { type: "INIT_LOCKED" }, { type: "INIT_DONE" }],
    states: ["racing", "initialising", "member"],
    started: ["init", "found", "join"],
    survivors: [],
  },
  {
    name: "a join ends in a member",
    found: "fresh",
    events: [{ type: "FOUNDER_LEFT" }, { type: "JOIN_LOCKED" }, { type: "JOIN_DONE" }],
    states: ["racing", "joining", "member"],
    started: ["init", "found", "join"],
    survivors: [],
  },
  {
    name: "the loser's last event is ignored",
    found: "fresh",
    events: [{ type: "JOIN_LOCKED" }, { type: "INIT_FAILED", error }, { type: "INIT_DONE" }],
    states: ["racing", "joining"],
    started: ["init", "found", "join"],
    survivors: ["found", "join"],
  },
  {
    name: "a contender that fails ends the race",
    found: "fresh",
    events: [{ type: "INIT_FAILED", error }],
    states: ["racing", "failed"],
    started: ["init", "found", "join"],
    survivors: [],
  },
  {
    name: "a locked init continues without JoinClient",
    found: "locked by init",
    events: [{ type: "FOUNDER_LEFT" }, { type: "INIT_DONE" }],
    states: ["initialising", "member"],
    started: ["init", "found"],
    survivors: [],
  },
  {
    name: "a locked init that fails says why",
    found: "locked by init",
    events: [{ type: "INIT_FAILED", error }],
    states: ["initialising", "failed"],
    started: ["init", "found"],
    survivors: [],
  },
  {
    name: "a locked join continues without InitServer",
    found: "locked by join",
    events: [{ type: "FOUNDER_LEFT" }, { type: "JOIN_DONE" }],
    states: ["joining", "member"],
    started: ["join", "found"],
    survivors: [],
  },
  {
    name: "a founder that takes the lock stops JoinClient, and leaves when it is needed no more",
    found: "fresh",
    events: [{ type: "FOUND_LOCKED" }, { type: "FOUND_DONE" }],
    states: ["racing", "initialising", "leaving"],
    started: ["init", "found", "join"],
    survivors: ["init", "found"],
  },
  {
    name: "a founder goes on voting while another founder's cluster is joined, and after that",
    found: "fresh",
    events: [{ type: "JOIN_LOCKED" }, { type: "JOIN_DONE" }],
    states: ["racing", "joining", "leaving"],
    started: ["init", "found", "join"],
    survivors: ["found", "join"],
  },
  {
    name: "a founder that is needed no more ends in a member",
    found: "locked by join",
    events: [{ type: "JOIN_DONE" }, { type: "FOUNDER_LEFT" }],
    states: ["joining", "leaving", "member"],
    started: ["join", "found"],
    survivors: [],
  },
  {
    name: "a founder that fails ends the race, whatever state it is in",
    found: "fresh",
    events: [{ type: "JOIN_LOCKED" }, { type: "FOUND_FAILED", error }],
    states: ["racing", "joining", "failed"],
    started: ["init", "found", "join"],
    survivors: [],
  },
  {
    name: "a founder that is superseded says why",
    found: "locked by init",
    events: [{ type: "FOUND_FAILED", error }],
    states: ["initialising", "failed"],
    started: ["init", "found"],
    survivors: [],
  },
  {
    name: "a locked join that fails says why",
    found: "locked by join",
    events: [{ type: "JOIN_FAILED", error }],
    states: ["joining", "failed"],
    started: ["join", "found"],
    survivors: [],
  },
];

for (const { name, found, events, states, started, survivors } of paths) {
  Deno.test(`createRaceMachine(): ${name}`, async () => {
    const world = race(found);
    await world.ready;
    for (const event of events) world.actor.send(event);
    assert.deepEqual(world.states.filter((state) => state !== "detecting"), states);
    assert.deepEqual(world.started, started);
    assert.deepEqual([...world.running], survivors);
    const failed = states.at(-1) === "failed";
    assert.equal(world.actor.getSnapshot().context.error?.code, failed ? error.code : undefined);
    world.actor.stop();
  });
}
