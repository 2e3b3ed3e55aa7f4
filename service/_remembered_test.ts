import assert from "node:assert/strict";
import { remembered } from "./_remembered.ts";

Deno.test("remembered() asks once for all callers at the same time and soon after", async () => {
  let asked = 0;
  let nowMs = 0;
  const ask = remembered(() => Promise.resolve(++asked), 100, { monotonicMs: () => nowMs });
  assert.deepEqual(await Promise.all([ask(), ask()]), [1, 1]);
  nowMs = 99;
  assert.equal(await ask(), 1);
  nowMs = 100;
  assert.equal(await ask(), 2);
});

Deno.test("remembered() forgets a failure", async () => {
  let asked = 0;
  const ask = remembered(
    () => ++asked === 1 ? Promise.reject(new Error("no")) : Promise.resolve(asked),
    100,
    { monotonicMs: () => 0 },
  );
  await Promise.all([assert.rejects(ask()), assert.rejects(ask())]);
  assert.equal(await ask(), 2);
});
