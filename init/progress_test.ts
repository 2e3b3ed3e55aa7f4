import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import type { ProgressEvent } from "../proto/gen/bootstrapper.ts";
import { ProgressLog } from "./progress.ts";

const never = new Promise<never>(() => {});

/** A log at a clock that a test turns, and what was recorded on the node. */
function start() {
  const recorded: string[] = [];
  const time = { ms: 1000 };
  const clock = { now: () => new Date(time.ms), monotonicMs: () => time.ms };
  const progress = new ProgressLog(clock, { phase: (name, work) => (recorded.push(name), work()) });
  return { progress, recorded, time };
}

const short = ({ number, phase, state, detail }: ProgressEvent) => `${number} ${phase} ${state} ${detail}`.trimEnd();

/** All events so far, as a caller hears them. */
async function heard(progress: ProgressLog, after = 0): Promise<ProgressEvent[]> {
  const events: ProgressEvent[] = [];
  await progress.follow((event) => Promise.resolve(void events.push(event)), Promise.resolve(), after);
  return events;
}

Deno.test("phase() tells start and end with number, time and duration, and is recorded on the node", async () => {
  const { progress, recorded, time } = start();
  const result = await progress.phase("kubeadm-init", () => {
    progress.detail("kubeadm-init", "etcd");
    time.ms += 1234.4;
    return Promise.resolve("made");
  });
  assert.equal(result, "made");
  const events = await heard(progress);
  assert.deepEqual(events.map(short), ["1 kubeadm-init started", "2 kubeadm-init detail etcd", "3 kubeadm-init done"]);
  assert.deepEqual(events.map(({ timeMs, durationMs }) => [timeMs, durationMs]), [[1000n, 0n], [1000n, 0n], [
    2234n,
    1234n,
  ]]);
  assert.deepEqual(recorded, ["kubeadm-init"]);
});

Deno.test("phase() tells why it failed, and fails with that", async () => {
  const { progress } = start();
  const failure = new BootstrapError("system/kubeadm", "etcd does not start");
  await assert.rejects(progress.phase("kubeadm-init", () => Promise.reject(failure)), failure);
  assert.deepEqual((await heard(progress)).map(short), [
    "1 kubeadm-init started",
    "2 kubeadm-init failed etcd does not start",
  ]);
});

Deno.test("follow() gives the events of the past first, then new ones as they come, until the work ends", async () => {
  const { progress } = start();
  progress.detail("a", "past");
  const events: string[] = [];
  const news = Promise.withResolvers<void>();
  const work = Promise.withResolvers<void>();
  const following = progress.follow((event) => {
    events.push(short(event));
    if (events.length === 2) news.resolve();
    return Promise.resolve();
  }, work.promise);
  progress.detail("a", "new");
  await news.promise;
  progress.detail("a", "last");
  work.resolve();
  assert.equal(await following, 3);
  assert.deepEqual(events, ["1 a detail past", "2 a detail new", "3 a detail last"]);
});

Deno.test("follow() goes on after the number that was heard", async () => {
  const { progress } = start();
  for (const detail of ["one", "two", "three"]) progress.detail("a", detail);
  assert.deepEqual((await heard(progress, 2)).map(short), ["3 a detail three"]);
  assert.deepEqual(await heard(progress, 3), []);
});

Deno.test("follow() sends one event at a time, in order, to each of its callers", async () => {
  const { progress } = start();
  const work = Promise.withResolvers<void>();
  const follow = (turns: number) => {
    const numbers: number[] = [];
    let busy = false;
    const following = progress.follow(async ({ number }) => {
      assert(!busy, "two events at once");
      busy = true;
      for (let i = 0; i < turns; i++) await Promise.resolve();
      busy = false;
      numbers.push(number);
    }, work.promise);
    return following.then(() => numbers);
  };
  const callers = [follow(0), follow(7)];
  for (let i = 0; i < 20; i++) {
    progress.detail("a", `${i}`);
    await Promise.resolve();
  }
  work.resolve();
  const all = Array.from({ length: 20 }, (_, i) => i + 1);
  assert.deepEqual(await Promise.all(callers), [all, all]);
});

Deno.test("follow() ends without an error of its own when the work fails", async () => {
  const { progress } = start();
  progress.detail("a", "x");
  assert.equal(await progress.follow(() => Promise.resolve(), Promise.reject(new Error("no"))), 1);
});

Deno.test("follow() fails when an event cannot be sent, and the log goes on without that caller", async () => {
  const { progress } = start();
  const gone = new BootstrapError("unavailable/peer-gone", "gone");
  const following = progress.follow(() => Promise.reject(gone), never);
  progress.detail("a", "x");
  await assert.rejects(following, gone);
  progress.detail("a", "y");
  assert.equal((await heard(progress)).length, 2);
});
