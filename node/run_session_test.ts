import assert from "node:assert/strict";
import { isRunLockHeld } from "../nodelock/run_lock.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { ErrorCode } from "../platform/errors.ts";
import { silentLog } from "../platform/log.ts";
import { sleepingClock } from "../platform/testing/sleeping_clock.ts";
import { nodePaths } from "./paths.ts";
import { RunSession } from "./run_session.ts";
import { readStatus } from "./status.ts";

async function withNode(run: (node: ReturnType<typeof nodeIn>) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await run(nodeIn(root));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

function nodeIn(root: string) {
  const paths = nodePaths(root);
  const { clock, slept } = sleepingClock();
  const never = new AbortController().signal;
  const start = async (outcome: ErrorCode | undefined, signal = never) => {
    using session = await RunSession.open({ paths, clock, log: silentLog });
    assert.equal((await readStatus(paths.status))?.phase, "starting");
    assert.equal(await isRunLockHeld(paths.state), true);
    await session.guard(async () => {
      await session.pauseAfterFailures(signal, () => 0.5);
      if (outcome !== undefined) throw new BootstrapError(outcome, "no");
    }, signal);
  };
  return { paths, slept, clock, start, status: () => readStatus(paths.status) };
}

Deno.test("RunSession writes down how a start failed, and counts failures in a row", () =>
  withNode(async ({ paths, start, status }) => {
    assert.equal(await isRunLockHeld(paths.state), false);
    for (const failures of [1, 2]) {
      await assert.rejects(start("system/tpm"), { code: "system/tpm" });
      const said = await status();
      assert.deepEqual([said?.phase, said?.error?.code, said?.failures], ["failed", "system/tpm", failures]);
      assert.notEqual(said?.error?.next, "");
    }
    await assert.rejects(start("usage/configuration"), { code: "usage/configuration" });
    assert.equal((await status())?.failures, 2);
    assert.equal(await isRunLockHeld(paths.state), false);
  }));

Deno.test("RunSession waits longer after each of several failures, up to two minutes, and never after a success", () =>
  withNode(async ({ start, slept, clock, status }) => {
    for (let i = 0; i < 9; i++) await assert.rejects(start("system/tpm"));
    assert.deepEqual(slept, [5_000, 10_000, 20_000, 40_000, 80_000, 110_000]);
    // What was long ago does not count.
    await clock.sleep(6 * 60_000);
    await assert.rejects(start("system/tpm"));
    assert.equal(slept.length, 7);
    assert.equal((await status())?.failures, 1);
    await start(undefined);
    await assert.rejects(start("system/tpm"));
    assert.equal((await status())?.failures, 1);
  }));

Deno.test("RunSession shows during a pause what the last start found out and why it failed, and nothing of that afterwards", () =>
  withNode(async ({ paths, clock, status }) => {
    const { signal } = new AbortController();
    const facts = { nodeName: "node-1", address: "192.0.2.1", role: "worker" };
    for (let start = 0; start < 3; start++) {
      using session = await RunSession.open({ paths, clock, log: silentLog });
      const failing = session.guard(async () => {
        await session.pauseAfterFailures(signal);
        await session.status.update({ phase: "racing", ...facts });
        throw new BootstrapError("system/tpm", "no");
      }, signal);
      await assert.rejects(failing, { code: "system/tpm" });
    }
    const shown = async () => {
      const { phase, error, nodeName, address, failures, waitsFor } = await status() ?? {};
      return [phase, error?.code, nodeName, address, failures, waitsFor];
    };
    const pausing = { sleep: async () => void seen.push(await shown()) };
    const seen: unknown[][] = [];
    using session = await RunSession.open({ paths, clock: { ...clock, ...pausing }, log: silentLog });
    const before = ["starting", "system/tpm", "node-1", "192.0.2.1", 3];
    assert.deepEqual(await shown(), [...before, "the next try: the last 3 starts have failed"]);
    await session.pauseAfterFailures(signal, () => 0.5);
    assert.deepEqual(seen, [[...before, "the next try, in 5 s: the last 3 starts have failed"]]);
    assert.deepEqual(await shown(), ["starting", undefined, undefined, undefined, undefined, undefined]);
  }));

Deno.test("RunSession says that it was stopped when that was asked for, whatever failed then", () =>
  withNode(async ({ start, status }) => {
    const controller = new AbortController();
    controller.abort();
    await assert.rejects(start("system/tpm", controller.signal), { code: "aborted/run" });
    const said = await status();
    assert.deepEqual([said?.phase, said?.error, said?.failures], ["stopped", undefined, undefined]);
  }));

Deno.test("RunSession leaves the status of another bootstrapper as it is", () =>
  withNode(async ({ paths, clock, status }) => {
    using session = await RunSession.open({ paths, clock, log: silentLog });
    await session.status.update({ phase: "racing" });
    await assert.rejects(RunSession.open({ paths, clock, log: silentLog }), { code: "conflict/run" });
    assert.equal((await status())?.phase, "racing");
  }));

Deno.test("RunSession starts over a status that it cannot read", () =>
  withNode(async ({ paths, start, status }) => {
    await Deno.mkdir(paths.state, { recursive: true });
    await Deno.writeTextFile(paths.status, "{");
    await start(undefined);
    assert.equal((await status())?.phase, "starting");
  }));
