import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import type { Sequence } from "./sequence.ts";
import { runSequence } from "./sequence.ts";

/** A journal in memory. */
class MemoryJournal {
  readonly done = new Set<string>();
  readonly begun: string[] = [];

  doneAt(name: string): Date | undefined {
    return this.done.has(name) ? new Date(0) : undefined;
  }

  async phase<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.begun.push(name);
    this.done.delete(name);
    const result = await work();
    this.done.add(name);
    return result;
  }
}

const NAMES = ["a", "b", "c"] as const;
const { signal } = new AbortController();

/** Steps that record their runs. `holds` of some steps depends on the world. */
function stepsOver(world: ReadonlySet<string>, ran: string[]): Sequence<undefined> {
  return Object.fromEntries(NAMES.map((name) => [name, {
    ...(name === "b" ? {} : { holds: () => Promise.resolve(world.has(name)) }),
    run: () => Promise.resolve(void ran.push(name)),
  }]));
}

Deno.test("runSequence() runs the steps in order, each once", async () => {
  const journal = new MemoryJournal();
  const ran: string[] = [];
  await runSequence(stepsOver(new Set(NAMES), ran), undefined, journal, signal);
  await runSequence(stepsOver(new Set(NAMES), ran), undefined, journal, signal);
  assert.deepEqual(ran, NAMES);
});

Deno.test("runSequence() runs exactly the steps that are not done in the journal or no longer hold", async () => {
  const subset = fc.subarray([...NAMES]);
  await fc.assert(fc.asyncProperty(subset, subset, async (done, world) => {
    const journal = new MemoryJournal();
    for (const name of done) journal.done.add(name);
    const ran: string[] = [];
    await runSequence(stepsOver(new Set(world), ran), undefined, journal, signal);
    // A step without `holds` is trusted.
    assert.deepEqual(ran, NAMES.filter((name) => !done.includes(name) || (name !== "b" && !world.includes(name))));
    assert.deepEqual(journal.begun, ran);
    assert.deepEqual([...journal.done].sort(), NAMES);
  }));
});

Deno.test("runSequence() stops at a step that fails, and continues with it", async () => {
  const journal = new MemoryJournal();
  const ran: string[] = [];
  let fails = true;
  const sequence: Sequence<undefined> = {
    ...stepsOver(new Set(NAMES), ran),
    b: { run: () => fails ? Promise.reject(new BootstrapError("system/kubeadm", "no")) : Promise.resolve() },
  };
  await assert.rejects(runSequence(sequence, undefined, journal, signal), { code: "system/kubeadm" });
  assert.deepEqual([...journal.done], ["a"]);
  fails = false;
  await runSequence(sequence, undefined, journal, signal);
  assert.deepEqual(journal.begun, ["a", "b", "b", "c"]);
});

Deno.test("runSequence() ends between two steps when it is aborted", async () => {
  const journal = new MemoryJournal();
  const controller = new AbortController();
  const reason = new BootstrapError("aborted/run", "stopped");
  const sequence: Sequence<undefined> = {
    a: { run: () => Promise.resolve(controller.abort(reason)) },
    b: { run: () => Promise.resolve() },
  };
  await assert.rejects(runSequence(sequence, undefined, journal, controller.signal), reason);
  assert.deepEqual([...journal.done], ["a"]);
});
