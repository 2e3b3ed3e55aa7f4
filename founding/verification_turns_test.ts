import assert from "node:assert/strict";
import { errorOf } from "../attestation/testing/evidence.ts";
import { BootstrapError } from "../platform/errors.ts";
import { VerificationTurns } from "./verification_turns.ts";

const { signal: never } = new AbortController();

/** Work that ends when it is told to. */
function work() {
  const [started, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const state = { isRunning: false, end: ended.resolve, started: started.promise };
  const run = async () => {
    state.isRunning = true;
    started.resolve();
    await ended.promise;
  };
  return { state, run };
}

Deno.test("VerificationTurns runs four at a time, and the next when one has ended", async () => {
  const turns = new VerificationTurns();
  const works = [...Array(6)].map(work);
  const runs = works.map(({ run }, index) => turns.run(`192.0.2.${index}`, never, run));
  assert.deepEqual(works.map(({ state }) => state.isRunning), [true, true, true, true, false, false]);
  works[1]?.state.end();
  await works[4]?.state.started;
  assert.deepEqual(works.map(({ state }) => state.isRunning), [true, true, true, true, true, false]);
  for (const { state } of works) state.end();
  await Promise.all(runs);
  assert.equal(turns.active, 0);
});

Deno.test("VerificationTurns runs one for each address", async () => {
  const turns = new VerificationTurns();
  const [first, second, other] = [work(), work(), work()];
  const runs = [turns.run("a", never, first.run), turns.run("a", never, second.run), turns.run("b", never, other.run)];
  assert.deepEqual([first, second, other].map(({ state }) => state.isRunning), [true, false, true]);
  first.state.end();
  await second.state.started;
  assert.ok(second.state.isRunning);
  for (const { state } of [second, other]) state.end();
  await Promise.all(runs);
});

Deno.test("VerificationTurns goes on after work that fails, and forgets who leaves", async () => {
  const turns = new VerificationTurns();
  const failing = turns.run("a", never, () => Promise.reject(new BootstrapError("unavailable/peer-gone", "gone")));
  const leaving = new AbortController();
  const left = turns.run("a", leaving.signal, () => assert.fail("it ran"));
  leaving.abort(new BootstrapError("unavailable/peer-gone", "gone"));
  await assert.rejects(left, { code: "unavailable/peer-gone" });
  await assert.rejects(failing, { code: "unavailable/peer-gone" });
  assert.equal(await turns.run("a", never, () => Promise.resolve(7)), 7);
});

Deno.test("VerificationTurns refuses more than sixteen that wait, and a second one of an address", async () => {
  const turns = new VerificationTurns();
  const works = [...Array(20)].map(work);
  const runs = works.map(({ run }, index) => turns.run(`a${index}`, never, run));
  assert.equal(
    (await errorOf(() => turns.run("a19", never, () => Promise.resolve()))).code,
    "unavailable/founder-busy",
  );
  const error = await errorOf(() => turns.run("a", never, () => Promise.resolve()));
  assert.deepEqual([error.code, error.retryAfterSeconds], ["unavailable/founder-busy", 5]);
  for (const { state } of works) state.end();
  await Promise.all(runs);
});
