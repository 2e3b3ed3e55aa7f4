import { deepEqual, equal, ok } from "node:assert/strict";
import { getSimplePaths } from "xstate/graph";
import { createActor, fromPromise, waitFor } from "xstate";
import type { EventFromLogic, SnapshotFrom } from "xstate";
import type { StagedFile } from "../platform/files.ts";
import type { LinkOutcome, LockClaim } from "./machine.ts";
import { createLockMachine } from "./machine.ts";
import type { LockRecord } from "./record.ts";

type Machine = ReturnType<typeof createLockMachine>;
type Event = EventFromLogic<Machine>;
type Snapshot = SnapshotFrom<Machine>;
/** What an effect answers: `xstate.done.actor.…` with its output, or `xstate.error.actor.…` with its error. */
type Answer = { readonly type: string; readonly output?: unknown; readonly error?: unknown };

const clusterId = new Uint8Array(32).fill(7);
const lock: LockRecord = { owner: "init", clusterId, time: new Date(0) };
const staged: StagedFile = { link: () => Promise.resolve(true), discard: () => Promise.resolve() };
const won: LinkOutcome = { won: true, lock };
const lost: LinkOutcome = { won: false, lock: { ...lock, owner: "join" } };
const standing: LockClaim = { owner: "init", clusterId };
const gone: LockClaim = { owner: "join", clusterId, confirm: () => false };

/** What each effect may answer when it does not fail. */
const OUTPUTS: Readonly<Record<string, readonly unknown[]>> = {
  "reading": [undefined, lock],
  "unlocked.staging": [staged],
  "unlocked.dropping": [undefined],
  "locking.linking": [won, lost],
  "locking.measuring": [undefined],
};

/** A machine whose effects answer in this order. */
function scriptedMachine(script: readonly Answer[]): Machine {
  const answers = script.values();
  const answer = <Output, Input = unknown>() =>
    fromPromise<Output, Input>(() => {
      const { output, error } = answers.next().value ?? { error: new Error("An effect too many") };
      return error === undefined ? Promise.resolve(output as Output) : Promise.reject(error);
    });
  return createLockMachine({
    readLock: answer(),
    stageLock: answer(),
    dropLock: answer(),
    linkLock: answer(),
    measureLock: answer(),
  });
}

function nameOf({ value }: Pick<Snapshot, "value">): string {
  return typeof value === "string" ? value : Object.entries(value).flat().join(".");
}

function leafOf(snapshot: Pick<Snapshot, "value">): string {
  return nameOf(snapshot).replace(/^.*\./, "");
}

function eventsIn(snapshot: Snapshot): readonly Event[] {
  const state = nameOf(snapshot);
  if (state === "unlocked.waiting") return [{ type: "TAKE", claim: standing }, { type: "TAKE", claim: gone }];
  const outputs = OUTPUTS[state];
  if (outputs === undefined) return [];
  const answers: Answer[] = outputs.map((output) => ({ type: `xstate.done.actor.0.nodeLock.${state}`, output }));
  answers.push({ type: `xstate.error.actor.0.nodeLock.${state}`, error: new Error(`Broken while ${state}`) });
  return answers as unknown as readonly Event[];
}

/** All paths from the start to an end on which no state repeats for the same claim and outcome. */
const paths = getSimplePaths(scriptedMachine([]), {
  events: eventsIn,
  serializeState: (snapshot) => `${nameOf(snapshot)} ${snapshot.context.claim?.owner} ${snapshot.context.won}`,
  toState: (snapshot) => snapshot.status === "done",
}).map(({ state, steps }) => {
  const { won, error } = state.context;
  return {
    sequence: [...steps.map((step) => leafOf(step.state)), ...(won ? ["(won)"] : [])].join(" "),
    states: steps.map((step) => nameOf(step.state)),
    events: steps.slice(1).map((step) => step.event),
    end: { won, error: error?.message },
  };
});

const DROPPED = "reading waiting staging dropping";

Deno.test("createLockMachine() has exactly these paths", () => {
  deepEqual(
    paths.map(({ sequence }) => sequence).sort(),
    [
      "reading failed",
      "reading measuring failed",
      "reading measuring locked",
      "reading waiting staging failed",
      "reading waiting staging failed",
      "reading waiting staging linking failed",
      "reading waiting staging linking measuring failed",
      "reading waiting staging linking measuring failed (won)",
      "reading waiting staging linking measuring locked",
      "reading waiting staging linking measuring locked (won)",
      `${DROPPED} failed`,
      `${DROPPED} waiting staging failed`,
      `${DROPPED} waiting staging linking failed`,
      `${DROPPED} waiting staging linking measuring failed`,
      `${DROPPED} waiting staging linking measuring failed (won)`,
      `${DROPPED} waiting staging linking measuring locked`,
      `${DROPPED} waiting staging linking measuring locked (won)`,
    ].sort(),
  );
});

Deno.test("createLockMachine() never goes back from locking, and locks only after measuring", () => {
  for (const { states, sequence } of paths) {
    const fromLocking = states.slice(states.findIndex((state) => state.startsWith("locking")));
    if (states.some((state) => state.startsWith("locking"))) {
      ok(fromLocking.every((state) => /^(locking\..*|locked|failed)$/.test(state)), sequence);
    }
    if (states.at(-1) === "locked") equal(states.at(-2), "locking.measuring", sequence);
  }
});

for (const [number, { sequence, states, events, end }] of paths.entries()) {
  Deno.test(`createLockMachine() runs path ${number + 1}: ${sequence}`, async () => {
    const claims = events.filter((event) => event.type === "TAKE").values();
    const actor = createActor(scriptedMachine(events.filter((event) => event.type !== "TAKE")));
    const seen: string[] = [];
    actor.subscribe((snapshot) => {
      seen.push(nameOf(snapshot));
      if (!snapshot.matches({ unlocked: "waiting" })) return;
      const take = claims.next().value;
      if (take !== undefined) queueMicrotask(() => actor.send(take));
    });
    actor.start();
    const { context } = await waitFor(actor, (snapshot) => snapshot.status === "done");
    deepEqual(seen, states);
    deepEqual({ won: context.won, error: context.error?.message }, end);
  });
}

Deno.test("createLockMachine() ignores a claim when another is being taken or the node is locked", async () => {
  const outputs = [undefined, staged, won, undefined];
  const actor = createActor(scriptedMachine(outputs.map((output) => ({ type: "done", output })))).start();
  await waitFor(actor, (snapshot) => snapshot.matches("unlocked"));
  actor.send({ type: "TAKE", claim: standing });
  actor.send({ type: "TAKE", claim: gone });
  const { context } = await waitFor(actor, (snapshot) => snapshot.matches("locked"));
  actor.send({ type: "TAKE", claim: gone });
  deepEqual([context.claim, actor.getSnapshot().context.claim], [standing, standing]);
});
