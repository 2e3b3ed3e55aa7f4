import assert from "node:assert/strict";
import { JoinGate } from "./join_gate.ts";

const never = new AbortController().signal;
const id = (byte: number) => new Uint8Array(32).fill(byte);

Deno.test("JoinGate is open to any cluster at first", async () => {
  const { only, closed } = await new JoinGate().whenOpen(never);
  assert.deepEqual([only, closed.aborted], [undefined, false]);
});

Deno.test("JoinGate tells who has gone through that it closes, and lets nobody through until it opens", async () => {
  const gate = new JoinGate();
  const before = await gate.whenOpen(never);
  gate.hold();
  assert.ok(before.closed.aborted);
  let isThrough = false;
  const waiting = gate.whenOpen(never).then((open) => {
    isThrough = true;
    return open;
  });
  gate.hold();
  await new Promise((resolve) => setTimeout(resolve));
  assert.ok(!isThrough);
  gate.open(id(1));
  assert.deepEqual((await waiting).only, id(1));
  assert.ok(!(await waiting).closed.aborted);
});

Deno.test("JoinGate that opens for another cluster stops who went for the first", async () => {
  const gate = new JoinGate();
  gate.open(id(1));
  const first = await gate.whenOpen(never);
  gate.open(id(2));
  assert.ok(first.closed.aborted);
  assert.deepEqual((await gate.whenOpen(never)).only, id(2));
});

Deno.test("JoinGate ends a wait by the signal's reason", async () => {
  const gate = new JoinGate();
  gate.hold();
  const stop = new AbortController();
  const waiting = gate.whenOpen(stop.signal);
  stop.abort(new Error("stopped"));
  await assert.rejects(waiting, /stopped/);
});
