import assert from "node:assert/strict";
import { abortable } from "./abortable.ts";

Deno.test("abortable() gives what the work gives, and fails as it fails", async () => {
  const { signal } = new AbortController();
  assert.equal(await abortable(Promise.resolve(7), signal), 7);
  await assert.rejects(abortable(Promise.reject(new Error("disk on fire")), signal), /disk on fire/);
});

Deno.test("abortable() fails with the signal's reason as soon as that aborts", async () => {
  const controller = new AbortController();
  const waiting = abortable(new Promise<never>(() => {}), controller.signal);
  controller.abort(new Error("stopped"));
  await assert.rejects(waiting, /stopped/);
  await assert.rejects(abortable(Promise.resolve(7), controller.signal), /stopped/);
});
