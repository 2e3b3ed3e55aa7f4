import assert from "node:assert/strict";
import { abortable, isAbortedSoon, onAbort, untilAborted } from "./abortable.ts";

/** A signal that counts its listeners. */
class CountedSignal {
  readonly controller = new AbortController();
  readonly signal = this.controller.signal;
  listeners = 0;

  constructor() {
    const { signal } = this;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    const heard = new Set<unknown>();
    signal.addEventListener = (type: string, listener: EventListener, options?: AddEventListenerOptions) => {
      heard.add(listener);
      this.listeners = heard.size;
      add(type, listener, options);
    };
    signal.removeEventListener = (type: string, listener: EventListener) => {
      heard.delete(listener);
      this.listeners = heard.size;
      remove(type, listener);
    };
  }
}

Deno.test("abortable() returns the work's result, and fails when the work fails", async () => {
  const counted = new CountedSignal();
  assert.equal(await abortable(Promise.resolve(7), counted.signal), 7);
  await assert.rejects(abortable(Promise.reject(new Error("disk on fire")), counted.signal), /disk on fire/);
  assert.equal(counted.listeners, 0);
});

Deno.test("abortable() fails with the signal's reason as soon as that aborts", async () => {
  const controller = new AbortController();
  const waiting = abortable(new Promise<never>(() => {}), controller.signal);
  controller.abort(new Error("stopped"));
  await assert.rejects(waiting, /stopped/);
  await assert.rejects(abortable(Promise.resolve(7), controller.signal), /stopped/);
});

Deno.test("abortable() leaves no rejection unhandled when the work fails after the signal", async () => {
  const work = Promise.withResolvers<never>();
  await assert.rejects(abortable(work.promise, AbortSignal.abort(new Error("stopped"))), /stopped/);
  work.reject(new Error("too late"));
  await new Promise((resolve) => setTimeout(resolve));
});

Deno.test("untilAborted() ends only when the signal aborts", async () => {
  const controller = new AbortController();
  const waiting = untilAborted(controller.signal);
  assert.equal(await Promise.race([waiting, Promise.resolve("waits")]), "waits");
  controller.abort(new Error("stopped"));
  await assert.rejects(waiting, /stopped/);
  await assert.rejects(untilAborted(controller.signal), /stopped/);
});

Deno.test("onAbort() calls its listener once: at once, when the signal aborts, or never", () => {
  const calls: string[] = [];
  onAbort(AbortSignal.abort(), () => calls.push("at once"));
  onAbort(undefined, () => calls.push("without a signal"));
  const counted = new CountedSignal();
  onAbort(counted.signal, () => calls.push("later"));
  onAbort(counted.signal, () => calls.push("disposed"))[Symbol.dispose]();
  assert.equal(counted.listeners, 1);
  assert.deepEqual(calls, ["at once"]);
  counted.controller.abort();
  counted.controller.abort();
  assert.deepEqual(calls, ["at once", "later"]);
});

Deno.test("isAbortedSoon() waits a little for the signal, and leaves no listener", async () => {
  const counted = new CountedSignal();
  const waiting = isAbortedSoon(counted.signal);
  assert.equal(counted.listeners, 1);
  counted.controller.abort();
  assert.equal(await waiting, true);
  assert.equal(counted.listeners, 0);
  assert.equal(await isAbortedSoon(counted.signal), true);
  assert.equal(await isAbortedSoon(undefined), false);
});
