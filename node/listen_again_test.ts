import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import { listenAgain } from "./listen_again.ts";

const taken = () => new BootstrapError("system/listen", "Cannot listen on 0.0.0.0:9443");

function watched(failures: BootstrapError[], mayWait = true) {
  const pauses: number[] = [];
  let runs = 0;
  const run = () => {
    runs++;
    const error = failures.shift();
    return error === undefined ? Promise.resolve() : Promise.reject(error);
  };
  const clock = { sleep: (ms: number) => Promise.resolve(void pauses.push(ms)) };
  const parts = { clock, random: () => 0.5, mayWait: () => mayWait, onFailedTry: () => {} };
  return { ended: listenAgain(run, parts, new AbortController().signal), pauses, runs: () => runs };
}

Deno.test("listenAgain() waits, longer each time, until the port is free", async () => {
  const { ended, pauses, runs } = watched([taken(), taken(), taken()]);
  await ended;
  assert.deepEqual([pauses, runs()], [[5_000, 10_000, 20_000], 4]);
});

Deno.test("listenAgain() ends at once when nothing else goes on meanwhile, and for any other error", async () => {
  const alone = watched([taken()], false);
  await assert.rejects(alone.ended, { code: "system/listen" });
  const broken = watched([new BootstrapError("system/file", "the disk is full")]);
  await assert.rejects(broken.ended, { code: "system/file" });
  assert.deepEqual([alone.runs(), broken.runs()], [1, 1]);
});

Deno.test("listenAgain() ends its pause when it is stopped", async () => {
  const stop = new AbortController();
  const clock = {
    sleep: (_ms: number, signal?: AbortSignal) => {
      stop.abort(new BootstrapError("aborted/run", "stopped"));
      return signal?.aborted === true ? Promise.reject(signal.reason) : Promise.resolve();
    },
  };
  const parts = { clock, random: () => 0.5, mayWait: () => true, onFailedTry: () => {} };
  await assert.rejects(listenAgain(() => Promise.reject(taken()), parts, stop.signal), { code: "aborted/run" });
});
