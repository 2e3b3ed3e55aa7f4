import assert from "node:assert/strict";
import { createActor, fromCallback, fromPromise, waitFor } from "xstate";
import { BootstrapError } from "../platform/errors.ts";
import type { Detected, RaceEvent } from "./race.ts";
import { createRaceMachine } from "./race.ts";

type Contender = "init" | "join";

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
    started: ["init", "join"],
    survivors: ["init", "join"],
  },
  {
    name: "JoinClient is stopped when Init takes the lock",
    found: "fresh",
    events: [{ type: "INIT_LOCKED" }],
    states: ["racing", "initialising"],
    started: ["init", "join"],
    survivors: ["init"],
  },
  {
    name: "InitServer is stopped when JoinClient takes the lock",
    found: "fresh",
    events: [{ type: "JOIN_LOCKED" }],
    states: ["racing", "joining"],
    started: ["init", "join"],
    survivors: ["join"],
  },
  {
    name: "an init ends in a member",
    found: "fresh",
    events: [{ type: "INIT_LOCKED" }, { type: "INIT_DONE" }],
    states: ["racing", "initialising", "member"],
    started: ["init", "join"],
    survivors: [],
  },
  {
    name: "a join ends in a member",
    found: "fresh",
    events: [{ type: "JOIN_LOCKED" }, { type: "JOIN_DONE" }],
    states: ["racing", "joining", "member"],
    started: ["init", "join"],
    survivors: [],
  },
  {
    name: "the loser's last event is ignored",
    found: "fresh",
    events: [{ type: "JOIN_LOCKED" }, { type: "INIT_FAILED", error }, { type: "INIT_DONE" }],
    states: ["racing", "joining"],
    started: ["init", "join"],
    survivors: ["join"],
  },
  {
    name: "a contender that fails ends the race",
    found: "fresh",
    events: [{ type: "INIT_FAILED", error }],
    states: ["racing", "failed"],
    started: ["init", "join"],
    survivors: [],
  },
  {
    name: "a locked init continues without JoinClient",
    found: "locked by init",
    events: [{ type: "INIT_DONE" }],
    states: ["initialising", "member"],
    started: ["init"],
    survivors: [],
  },
  {
    name: "a locked init that fails says why",
    found: "locked by init",
    events: [{ type: "INIT_FAILED", error }],
    states: ["initialising", "failed"],
    started: ["init"],
    survivors: [],
  },
  {
    name: "a locked join continues without InitServer",
    found: "locked by join",
    events: [{ type: "JOIN_DONE" }],
    states: ["joining", "member"],
    started: ["join"],
    survivors: [],
  },
  {
    name: "a locked join that fails says why",
    found: "locked by join",
    events: [{ type: "JOIN_FAILED", error }],
    states: ["joining", "failed"],
    started: ["join"],
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
