import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import { Readiness } from "./founder_readiness.ts";

Deno.test("Readiness asks again after a while, sooner after a bad answer, and says what has changed", async () => {
  let [nowMs, checks] = [0, 0];
  let problem: string | undefined = "there is no etcd image";
  const said: (readonly string[])[] = [];
  const readiness = new Readiness({
    clock: { monotonicMs: () => nowMs },
    check: () => {
      checks++;
      return problem === undefined
        ? Promise.resolve()
        : Promise.reject(new BootstrapError("precondition/preflight", problem));
    },
    onHindrances: (hindrances) => said.push(hindrances),
  });
  assert.equal(await readiness.isReady(), false);
  assert.equal(await readiness.isReady(), false);
  assert.equal(checks, 1);
  nowMs += 10_000;
  problem = undefined;
  assert.equal(await readiness.isReady(), true);
  nowMs += 200_000;
  assert.equal(await readiness.isReady(), true);
  assert.equal(checks, 2);
  nowMs += 200_000;
  problem = "the disk is full";
  assert.equal(await readiness.isReady(), false);
  assert.deepEqual(said, [["there is no etcd image"], [], ["the disk is full"]]);
});
