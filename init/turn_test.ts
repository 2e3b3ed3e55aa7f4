import assert from "node:assert/strict";
import { onAbort } from "../platform/abortable.ts";
import { InitTurns } from "./turn.ts";

const operator = Uint8Array.of(1);
const colleague = Uint8Array.of(2);

/** Whether a promise is still open after all pending callbacks have run. */
async function isOpen(promise: Promise<unknown>): Promise<boolean> {
  let open = true;
  promise.then(() => open = false, () => open = false);
  for (let i = 0; i < 20; i++) await Promise.resolve();
  return open;
}

Deno.test("enter() gives a turn to the first caller, and to any caller after that turn has ended", async () => {
  const turns = new InitTurns();
  for (const key of [operator, colleague, operator]) {
    using turn = await turns.enter(key);
    assert(!turn.superseded.aborted);
  }
});

Deno.test("enter() refuses another operator while an Init lasts, with an error that is retriable", async () => {
  const turns = new InitTurns();
  const first = await turns.enter(operator);
  await assert.rejects(turns.enter(colleague), { code: "unavailable/init-in-progress", retriable: true });
  assert(!first.superseded.aborted, "the first Init was disturbed");
  first[Symbol.dispose]();
  using _second = await turns.enter(colleague);
});

Deno.test("enter() by the same operator ends the earlier Init, and waits until that Init has let go of its key", async () => {
  const turns = new InitTurns();
  const first = await turns.enter(operator);
  const second = turns.enter(Uint8Array.from(operator));
  assert(first.superseded.aborted);
  assert.equal(first.superseded.reason.code, "aborted/superseded");
  assert(await isOpen(second), "evidence would be made while the earlier key exists");
  first[Symbol.dispose]();
  using turn = await second;
  assert(!turn.superseded.aborted);
});

Deno.test("hold() keeps every operator out, also the same one, until the turn has ended", async () => {
  const turns = new InitTurns();
  const first = await turns.enter(operator);
  assert(first.hold());
  for (const key of [operator, colleague]) {
    await assert.rejects(turns.enter(key), { code: "unavailable/init-in-progress" });
  }
  assert(!first.superseded.aborted);
  first[Symbol.dispose]();
  using _second = await turns.enter(operator);
});

Deno.test("hold() returns false when the Init was superseded", async () => {
  const turns = new InitTurns();
  const first = await turns.enter(operator);
  const second = turns.enter(operator);
  assert(!first.hold());
  first[Symbol.dispose]();
  using turn = await second;
  assert(turn.hold());
});

Deno.test("enter() gives one turn at a time when one operator sends many hellos, and the last hello keeps it", async () => {
  const turns = new InitTurns();
  let inside = 0;
  let most = 0;
  const ended = Array.from({ length: 10 }, async () => {
    using turn = await turns.enter(operator);
    most = Math.max(most, ++inside);
    const over = Promise.withResolvers<void>();
    onAbort(turn.superseded, over.resolve);
    await over.promise;
    inside--;
  });
  await isOpen(Promise.race(ended));
  const last = await turns.enter(operator);
  await Promise.all(ended);
  assert.deepEqual([most, inside, last.superseded.aborted], [1, 0, false]);
  last[Symbol.dispose]();
  // Disposing a turn twice does not affect the next one.
  using next = await turns.enter(colleague);
  last[Symbol.dispose]();
  await assert.rejects(turns.enter(operator), { code: "unavailable/init-in-progress" });
  assert(!next.superseded.aborted);
});
