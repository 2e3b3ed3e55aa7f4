import assert from "node:assert/strict";
import { Patience } from "./patience.ts";

/** A clock and a slowdown, both set by the test. */
function world() {
  const state = { nowMs: 5_000, slowdown: 1, measured: 0 };
  const clock = {
    nowMs: () => state.nowMs,
    measureSlowdown: () => {
      state.measured++;
      return Promise.resolve(state.slowdown);
    },
  };
  /** Advances the clock, and asks once in each second. */
  const pass = async (patience: Patience, seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      state.nowMs += 1_000;
      if (patience.isOver()) return true;
      await new Promise((resolve) => setTimeout(resolve));
    }
    return false;
  };
  return { state, clock, pass };
}

Deno.test("Patience is over at its deadline where the machine is as fast as the reference", async () => {
  const { clock, pass } = world();
  await using patience = new Patience(30_000, clock);
  assert.equal(patience.isOver(), false);
  assert.equal(await pass(patience, 29), false);
  assert.equal(await pass(patience, 1), true);
  assert.equal(patience.text, "after 30 s (slowdown of this machine: 1.0)");
});

Deno.test("Patience waits longer on a slow machine, and reports the slowdown", async () => {
  const { state, clock, pass } = world();
  state.slowdown = 4;
  await using patience = new Patience(30_000, clock);
  assert.equal(await pass(patience, 116), false);
  assert.equal(patience.slowdown, 4);
  assert.equal(await pass(patience, 1), true);
  assert.equal(patience.text, "after 117 s (slowdown of this machine: 3.9)");
});

Deno.test("Patience measures again, so that the deadline follows a machine that becomes busy or free later", async () => {
  const { state, clock, pass } = world();
  await using patience = new Patience(60_000, clock);
  assert.equal(await pass(patience, 30), false);
  state.slowdown = 8;
  assert.equal(await pass(patience, 80), false);
  state.slowdown = 1;
  assert.equal(await pass(patience, 30), true);
  assert(state.measured <= 15, `${state.measured} measurements`);
});

Deno.test("Patience measures nothing when the wait ends within a second", async () => {
  const { state, clock } = world();
  await using patience = new Patience(100, clock);
  state.nowMs += 200;
  assert.equal(patience.isOver(), true);
  assert.equal(state.measured, 0);
});

Deno.test("Patience is over at once when its deadline is zero", async () => {
  const { clock } = world();
  await using patience = new Patience(0, clock);
  assert.equal(patience.isOver(), true);
  assert.equal(patience.text, "after 0 s (slowdown of this machine: 1.0)");
});
