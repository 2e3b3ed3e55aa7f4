import assert from "node:assert/strict";
import { initialise } from "./initialise.ts";

/**
 * Runs an init whose runs end with these exit codes. Returns how often it ran, and how often a repetition was
 * announced.
 */
async function runsOf(exitCodes: readonly number[], signal = new AbortController().signal) {
  const left = [...exitCodes];
  const seen = { runs: 0, again: 0, argv: [] as readonly string[] };
  const ended = initialise({
    ...{ command: ["bootstrapper", "init"], log: "/log", signal, pauseMs: 0 },
    exec: (argv) => {
      seen.runs++;
      seen.argv = argv;
      return Promise.resolve({ exitCode: left.shift() ?? 0 });
    },
    onAgain: () => void seen.again++,
  });
  return { seen, error: await ended.then(() => undefined, (error: unknown) => error) };
}

Deno.test("initialise() runs init once when it succeeds, with its output in the log", async () => {
  const { seen, error } = await runsOf([0]);
  assert.deepEqual([seen.runs, seen.again, error], [1, 0, undefined]);
  assert.deepEqual(seen.argv.slice(-3), ["/log", "bootstrapper", "init"]);
});

Deno.test("initialise() runs init again while it ends with exit code 4, and announces each repetition", async () => {
  const { seen, error } = await runsOf([4, 4, 0]);
  assert.deepEqual([seen.runs, seen.again, error], [3, 2, undefined]);
});

Deno.test("initialise() fails with every other exit code, and names the log", async () => {
  for (const exitCode of [1, 2, 3, 143]) {
    const { seen, error } = await runsOf([4, exitCode]);
    assert.equal(seen.runs, 2);
    await assert.rejects(Promise.reject(error), { code: "system/demo-init", details: { log: "/log" } });
  }
});

Deno.test("initialise() ends when its signal aborts", async () => {
  const controller = new AbortController();
  controller.abort(new Error("stopped"));
  const { seen, error } = await runsOf([4], controller.signal);
  assert.equal(seen.runs, 1);
  await assert.rejects(Promise.reject(error), /stopped/);
});
