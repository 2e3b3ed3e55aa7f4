import assert from "node:assert/strict";
import { Steps } from "./steps.ts";

/** Steps of a demo that can be stopped, and what the screen is told. */
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

Deno.test("Steps.run() gives what the work gives, and shows begin and end", async () => {
  const { steps, said } = stepsOf();
  assert.equal(await steps.run("one", long, () => Promise.resolve(7)), 7);
  assert.deepEqual(said, ["one", "ended"]);
});

Deno.test("Steps.run() fails when the work has not ended at the deadline", async () => {
  const { steps, said } = stepsOf();
  await assert.rejects(steps.run("one", { deadlineMs: 1 }, () => never), { code: "timeout/demo" });
  assert.deepEqual(said, ["one", "failed"]);
});

Deno.test("Steps.run() leaves the work at once when the demo is stopped, and begins nothing more", async () => {
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
