import assert from "node:assert/strict";
import { BootstrapError } from "../../platform/errors.ts";
import { waitUntil } from "../e2e/wait_until.ts";
import { Steps } from "./steps.ts";

/** Steps of a demo that can be stopped, with what the screen was told. */
function stepsOf() {
  const controller = new AbortController();
  const said: string[] = [];
  const steps = new Steps({
    begin: (title) => void said.push(title),
    end: (succeeded) => void said.push(succeeded ? "ended" : "failed"),
  }, controller.signal);
  return { steps, said, controller };
}

const never = new Promise<never>(() => {});
const long = { deadlineMs: 60_000 };

Deno.test("Steps.run() returns the result of the work, and shows its start and end", async () => {
  const { steps, said } = stepsOf();
  assert.equal(await steps.run("one", long, () => Promise.resolve(7)), 7);
  assert.deepEqual(said, ["one", "ended"]);
});

Deno.test("Steps.run() fails at the deadline with the state that was seen and the logs", async () => {
  const { steps, said } = stepsOf();
  const options = { deadlineMs: 1, seen: () => "node-1  booting", logs: "/logs" };
  let aborted: AbortSignal | undefined;
  const running = steps.run("one", options, (signal) => {
    aborted = signal;
    return never;
  });
  await assert.rejects(running, (error) => {
    assert(error instanceof BootstrapError);
    assert.equal(error.code, "timeout/demo");
    assert.match(
      error.message,
      /^The step "one" failed: it has not ended after 0 s \(slowdown of this machine: 1\.0\); seen last: node-1 {2}booting/,
    );
    assert.deepEqual(error.details, { logs: "/logs" });
    return true;
  });
  assert.equal(aborted?.aborted, true);
  assert.deepEqual(said, ["one", "failed"]);
});

Deno.test("Steps.run() fails in the same way when a wait inside it is overdue", async () => {
  const { steps } = stepsOf();
  const wait = { what: "InitServer on node-1", deadlineMs: 0 };
  const running = steps.run("one", long, () => waitUntil(wait, () => Promise.resolve(false)));
  await assert.rejects(running, {
    code: "timeout/demo",
    message: /^The step "one" failed: Cannot go on: no InitServer on node-1 after 0 s/,
  });
});

Deno.test("Steps.run() gives a slow machine more time", async () => {
  const { steps } = stepsOf();
  let nowMs = 0;
  const clock = { nowMs: () => nowMs += 1_000, measureSlowdown: () => Promise.resolve(8) };
  const work = () => new Promise<string>((resolve) => setTimeout(() => resolve("done"), 600));
  assert.equal(await steps.run("one", { deadlineMs: 3_000, clock }, work), "done");
});

Deno.test("Steps.run() abandons the work at once when the demo is stopped, and starts no further step", async () => {
  const { steps, said, controller } = stepsOf();
  const running = steps.run("one", long, () => never);
  controller.abort(new Error("stopped"));
  await assert.rejects(running, /stopped/);
  await assert.rejects(steps.run("two", long, () => never), /stopped/);
  assert.deepEqual(said, ["one", "failed"]);
});

Deno.test("Steps.run() waits for a step that must not be left half done when the demo is stopped", async () => {
  const { steps, controller } = stepsOf();
  const { promise, resolve } = Promise.withResolvers<void>();
  let ended = false;
  const running = steps.run("one", { ...long, whole: true }, async () => {
    await promise;
    ended = true;
  });
  controller.abort(new Error("stopped"));
  resolve();
  await assert.rejects(running, /stopped/);
  assert.equal(ended, true);
});
