import { deepEqual, equal, match } from "node:assert/strict";
import { untilAborted } from "../platform/abortable.ts";
import { systemClock } from "../platform/clock.ts";
import { createLog } from "../platform/log.ts";
import { OwnFounding } from "./_own_founding.ts";
import { CEREMONY_TIMES, type FounderEffects, type OwnLock } from "./ceremony_parts.ts";
import type { SeenDecision } from "./decision.ts";
import { FounderJournal } from "./founder_journal.ts";
import { founderFolder } from "./testing/folder.ts";

const KEY = "11".repeat(32);
const CLUSTER = `sha256:${"aa".repeat(32)}`;
const DECISION: SeenDecision = { epoch: 2, identity: KEY, key: KEY, clusterId: CLUSTER, revision: 7n };

async function ownIn(folder: string, changes: Partial<FounderEffects> = {}) {
  const calls: string[] = [];
  const lines: string[] = [];
  let lock: OwnLock | undefined;
  const called = <T>(name: string, value: T) => (calls.push(name), Promise.resolve(value));
  const effects: FounderEffects = {
    lock: () => Promise.resolve(lock),
    prepare: () => called("prepare", CLUSTER),
    discard: () => called("discard", undefined),
    stage: () => called("stage", undefined),
    takeLock: (clusterId) => called("lock", lock = { owner: "init", clusterId }),
    found: () => called("found", ["n1:6443"]),
    serve: () => called("serve", undefined),
    supersede: () => called("supersede", undefined),
    openJoin: () => {},
    isMember: () => Promise.resolve(true),
    ...changes,
  };
  const journal = await FounderJournal.open(folder);
  const own = new OwnFounding({
    ...{ effects, journal, clock: systemClock, key: KEY, ready: () => Promise.resolve(true) },
    log: createLog(systemClock, (line) => void lines.push(line)),
    times: { ...CEREMONY_TIMES, stageMs: 20, foundMs: 20 },
  });
  return { own, journal, calls, lines };
}

const { signal } = new AbortController();

Deno.test("OwnFounding stages with the decision's epoch and revision, on disk, before the lock", async () => {
  await using folder = await founderFolder();
  const { own, calls } = await ownIn(folder.path);
  equal(await own.prepare(signal), CLUSTER);
  await own.stage(DECISION, signal);
  const again = await FounderJournal.open(folder.path);
  deepEqual(again.staged, { epoch: 2, revision: 7n, clusterId: CLUSTER });
  await own.lock(DECISION, signal);
  own.begin(DECISION, signal);
  own.begin(DECISION, signal);
  await own.end();
  deepEqual(calls, ["prepare", "stage", "lock", "found"]);
  deepEqual(own.endpoints, ["n1:6443"]);
  equal((await own.facts()).founding, "done");
});

Deno.test("OwnFounding journals before it serves, and is a member then", async () => {
  await using folder = await founderFolder();
  const { own } = await ownIn(folder.path);
  await own.lock(DECISION, signal);
  const complete = { epoch: 2, clusterId: CLUSTER, endpoints: [] };
  await own.journal(complete);
  deepEqual((await FounderJournal.open(folder.path)).completed, complete);
  equal((await own.facts()).isMember, false);
  await own.serve(complete, signal);
  deepEqual([(await own.facts()).isServing, (await own.facts()).isMember], [true, true]);
});

Deno.test("a step that hangs or fails is a failure for good, with its reason, until the founder rests", async () => {
  await using folder = await founderFolder();
  const hanging = await ownIn(folder.path, { stage: (_id, signal) => untilAborted(signal) });
  await hanging.own.stage(DECISION, signal);
  match((await hanging.own.facts()).failure ?? "", /staging did not end within 0.02 s/);
  match(hanging.lines.join(), /"code":"timeout\/founding"/);
  equal(hanging.journal.staged, undefined);
  await hanging.own.rest();
  const rested = await hanging.own.facts();
  deepEqual([rested.failure, rested.prepared, rested.isReady], [undefined, undefined, false]);
  const failing = await ownIn(folder.path, { found: () => Promise.reject(new Error("kubeadm failed")) });
  failing.own.begin(DECISION, signal);
  for (let looks = 0; (await failing.own.facts()).failure === undefined && looks < 100; looks++);
  match((await failing.own.facts()).failure ?? "", /founding failed: kubeadm failed/);
  await failing.own.end();
});

Deno.test("OwnFounding.supersede() ends a founding that goes on before it ends what answers", async () => {
  await using folder = await founderFolder();
  const order: string[] = [];
  const { own } = await ownIn(folder.path, {
    found: async (_id, signal) => {
      try {
        return await untilAborted(signal);
      } finally {
        order.push("founding ended");
      }
    },
    supersede: (reason) => Promise.resolve(void order.push(reason)),
  });
  own.begin(DECISION, signal);
  await own.supersede("another was decided on");
  deepEqual(order, ["founding ended", "another was decided on"]);
  equal((await own.facts()).failure, undefined);
});
