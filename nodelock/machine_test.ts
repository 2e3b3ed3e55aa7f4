import { deepEqual } from "node:assert/strict";
import { getSimplePaths } from "xstate/graph";
import { createActor, fromPromise, waitFor } from "xstate";
import type { EventFromLogic, SnapshotFrom } from "xstate";
import { BootstrapError } from "../platform/errors.ts";
import type { StagedFile } from "../platform/files.ts";
import type { LockOutcome } from "./machine.ts";
import { createLockMachine } from "./machine.ts";
import type { LockRecord } from "./record.ts";

type Machine = ReturnType<typeof createLockMachine>;
type Snapshot = SnapshotFrom<Machine>;
/** The behaviour of each effect. */
interface Script {
  readonly read: () => LockRecord | undefined;
  readonly link: (staged: StagedFile | undefined) => LockOutcome;
}

const lock: LockRecord = { owner: "init", clusterId: new Uint8Array(32).fill(7), time: new Date(0) };
const otherLock: LockRecord = { ...lock, owner: "join" };
const staged: StagedFile = { link: () => Promise.resolve(true), discard: () => Promise.resolve() };
const tpmError = new BootstrapError("system/tpm", "The TPM does not answer");
const broken = () => {
  throw tpmError;
};

function scriptedMachine({ read, link }: Script): Machine {
  return createLockMachine({
    readLock: fromPromise(async () => await Promise.resolve(read())),
    linkAndMeasure: fromPromise(async ({ input }) => await Promise.resolve(link(input))),
  });
}

/** Runs a machine to its end. In each state that it reaches, it receives the claims for that state. */
async function run(script: Script, claims: Partial<Record<string, readonly StagedFile[]>> = { unlocked: [staged] }) {
  const inputs: (StagedFile | undefined)[] = [];
  const link = (input: StagedFile | undefined) => {
    inputs.push(input);
    return script.link(input);
  };
  const actor = createActor(scriptedMachine({ ...script, link }));
  const states: Snapshot["value"][] = [];
  actor.subscribe(({ value }) => {
    if (states.at(-1) === value) return;
    states.push(value);
    claims[value]?.forEach((staged) => actor.send({ type: "TAKE", staged }));
  });
  actor.start();
  const { context: { outcome, error } } = await waitFor(actor, ({ status }) => status === "done");
  return { states, inputs, outcome, error };
}

Deno.test("createLockMachine() links the staged lock, and ends locked with the lock that has the name", async () => {
  const states = ["reading", "unlocked", "locking", "locked"];
  for (const outcome of [{ won: true, lock }, { won: false, lock: otherLock }]) {
    const ended = await run({ read: () => undefined, link: () => outcome });
    deepEqual(ended, { states, inputs: [staged], outcome, error: undefined });
  }
});

Deno.test("createLockMachine() goes directly to locking when it finds a lock, with nothing to link", async () => {
  const outcome = { won: false, lock };
  const ended = await run({ read: () => lock, link: () => outcome });
  deepEqual(ended, { states: ["reading", "locking", "locked"], inputs: [undefined], outcome, error: undefined });
});

Deno.test("createLockMachine() fails with the error of each effect", async () => {
  const failed = { outcome: undefined, error: tpmError };
  const fresh = { read: () => undefined, link: broken };
  const found = { read: () => lock, link: broken };
  const unreadable = { read: broken, link: broken };
  deepEqual(await run(fresh), { states: ["reading", "unlocked", "locking", "failed"], inputs: [staged], ...failed });
  deepEqual(await run(found), { states: ["reading", "locking", "failed"], inputs: [undefined], ...failed });
  deepEqual(await run(unreadable), { states: ["reading", "failed"], inputs: [], ...failed });
});

Deno.test("createLockMachine() accepts the first claim when it is unlocked, and ignores all others", async () => {
  const outcome = { won: true, lock };
  const others: StagedFile[] = [{ ...staged }];
  const claims = { reading: others, unlocked: [staged, ...others], locking: others, locked: others };
  const { states, inputs } = await run({ read: () => undefined, link: () => outcome }, claims);
  deepEqual([states, inputs.length, inputs[0] === staged], [["reading", "unlocked", "locking", "locked"], 1, true]);
});

Deno.test("createLockMachine() has exactly these paths, whatever event arrives in whatever state", () => {
  const events = [
    { type: "TAKE", staged },
    { type: "xstate.done.actor.0.(machine).reading", output: undefined },
    { type: "xstate.done.actor.0.(machine).reading", output: lock },
    { type: "xstate.error.actor.0.(machine).reading", error: tpmError },
    { type: "xstate.done.actor.0.(machine).locking", output: { won: true, lock } },
    { type: "xstate.error.actor.0.(machine).locking", error: tpmError },
  ] as unknown as EventFromLogic<Machine>[];
  const paths = getSimplePaths(scriptedMachine({ read: broken, link: broken }), {
    events,
    serializeState: ({ value, context }) => `${value} ${context.staged !== undefined}`,
    toState: ({ status }) => status === "done",
  });
  deepEqual(paths.map(({ steps }) => steps.map(({ state }) => state.value).join(" ")).sort(), [
    "reading failed",
    "reading locking failed",
    "reading locking locked",
    "reading unlocked locking failed",
    "reading unlocked locking locked",
  ]);
});
