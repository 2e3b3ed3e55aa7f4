import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { fromUtf8 } from "../platform/bytes.ts";
import { systemClock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { decodeJournal, MAXIMUM_DETAIL_LENGTH, MAXIMUM_EVENTS } from "./_journal_file.ts";
import type { JournalEvent, JournalHead } from "./journal.ts";
import { checkJournalHead, checkJournalOperation, Journal } from "./journal.ts";

const HEAD: JournalHead = { owner: "join", role: "worker", clusterId: "ab".repeat(32), nodeName: "worker-1" };
const PARTS = { clock: systemClock, recorder: { phase: <T>(_: string, work: () => Promise<T>) => work() } };
const nothing = () => Promise.resolve();

/** Registers a test that gets a temporary folder, and the path of a journal in it. */
function journalTest(name: string, run: (path: string, folder: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir({ prefix: "journal-" });
    try {
      await run(join(folder, "join"), folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

async function kept(path: string): Promise<Journal> {
  const journal = new Journal(PARTS);
  await journal.keep(path, HEAD);
  return journal;
}

async function reread(path: string): Promise<Journal> {
  const journal = await Journal.read(path, PARTS);
  assert(journal !== undefined, "there is no journal");
  return journal;
}

async function onDisk(path: string) {
  return await decodeJournal(await Deno.readFile(path), path);
}

/** Returns the events that a follower receives until `until` settles. */
async function heardFrom(journal: Journal, until: Promise<unknown>, after = 0): Promise<JournalEvent[]> {
  const events: JournalEvent[] = [];
  await journal.follow((event) => Promise.resolve(void events.push(event)), until, after);
  return events;
}

const short = ({ number, phase, state }: JournalEvent) => `${number} ${phase} ${state}`;
const boom = new BootstrapError("system/kubeadm", "kubeadm did not want to");

journalTest("Journal.read() returns undefined when there is no journal", async (path) => {
  assert.equal(await Journal.read(path, PARTS), undefined);
});

journalTest("Journal.read() refuses a torn journal, and does not change it", async (path) => {
  await (await kept(path)).phase("a", nothing);
  const bytes = await Deno.readFile(path);
  for (const part of [bytes.subarray(0, bytes.length - 1), bytes.subarray(0, 40), new Uint8Array()]) {
    await Deno.writeFile(path, part);
    await assert.rejects(Journal.read(path, PARTS), { code: "malformed/journal" });
    assert.deepEqual(await Deno.readFile(path), new Uint8Array(part));
  }
});

journalTest("Journal.read() names a path that cannot be read", async (path) => {
  await Deno.mkdir(path);
  await assert.rejects(Journal.read(path, PARTS), { code: "system/file", details: { path } });
});

journalTest("phase() writes the step to disk before the work begins, and after it is done", async (path) => {
  const journal = await kept(path);
  const begun = await journal.phase("a", async () => (await onDisk(path)).steps);
  assert.deepEqual(begun.map(({ name, attempts, done }) => [name, attempts, done]), [["a", 1, undefined]]);
  const { head, steps: [step], events } = await onDisk(path);
  assert.deepEqual(head, HEAD);
  assert.ok(step?.done !== undefined && step.done >= step.begun);
  assert.deepEqual(events.map(short), ["1 a started", "2 a done"]);
  assert.equal((await Deno.stat(path)).mode, 0o100644);
});

journalTest("phase() records the reason and throws it when the work fails", async (path) => {
  const journal = await kept(path);
  await assert.rejects(journal.phase("a", () => Promise.reject(boom)), boom);
  const { steps, events } = await onDisk(path);
  assert.deepEqual(steps.map(({ name, done }) => [name, done]), [["a", undefined]]);
  assert.deepEqual(events.map(short), ["1 a started", "2 a failed"]);
  assert.equal(events[1]?.detail, boom.message);
});

journalTest("phase() marks a done step as not done while it runs again, and counts attempts", async (path) => {
  const journal = await kept(path);
  await journal.phase("a", nothing);
  await journal.phase("b", nothing);
  const during = await journal.phase("a", async () => (await onDisk(path)).steps);
  assert.deepEqual(during.map(({ name, done }) => [name, done !== undefined]), [["a", false], ["b", true]]);
  await assert.rejects(journal.phase("a", () => Promise.reject(boom)));
  assert.equal(journal.doneAt("a"), undefined);
  await journal.phase("a", nothing);
  const { steps } = await onDisk(path);
  assert.deepEqual(steps.map(({ name, attempts }) => [name, attempts]), [["a", 4], ["b", 1]]);
  assert.deepEqual(journal.doneAt("a"), new Date(steps[0]?.done ?? ""));
});

journalTest("a journal continues in another process after the first one was killed", async (path) => {
  const first = await kept(path);
  await first.phase("a", nothing);
  // Its work never ends.
  await new Promise<void>((begun) => void first.phase("b", () => new Promise(() => begun())));
  const second = await reread(path);
  assert.deepEqual(second.head, HEAD);
  assert.ok(second.doneAt("a") !== undefined && second.doneAt("b") === undefined);
  await second.phase("b", nothing);
  const { steps, events } = await onDisk(path);
  assert.deepEqual(steps.map(({ name, attempts }) => [name, attempts]), [["a", 1], ["b", 2]]);
  assert.deepEqual(events.map(short), [
    ...["1 a started", "2 a done", "3 b started", "4 b started", "5 b done"],
  ]);
});

journalTest("a draft stays in memory until it is kept, with everything recorded before", async (path) => {
  const draft = new Journal(PARTS);
  await draft.phase("a", async () => {
    draft.detail("a", "one");
    await Promise.resolve();
  });
  assert.equal(draft.head, undefined);
  assert.deepEqual((await heardFrom(draft, Promise.resolve())).map(short), ["1 a started", "2 a detail", "3 a done"]);
  await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  await draft.phase("lock", () => draft.keep(path, HEAD));
  const { events, steps } = await onDisk(path);
  assert.deepEqual(events.map(short), [
    ...["1 a started", "2 a detail", "3 a done", "4 lock started", "5 lock done"],
  ]);
  assert.ok(steps.every(({ done }) => done !== undefined));
});

journalTest("follow() continues after the last received number, across a restart", async (path) => {
  const first = await kept(path);
  await first.phase("a", nothing);
  const heard = await heardFrom(first, Promise.resolve());
  assert.deepEqual(heard.map(short), ["1 a started", "2 a done"]);
  const second = await reread(path);
  const work = second.phase("b", nothing);
  const rest = await heardFrom(second, work, heard.at(-1)?.number);
  assert.deepEqual(rest.map(short), ["3 b started", "4 b done"]);
  // Numbers denote the same events for a follower that asks for all of them.
  assert.deepEqual(await heardFrom(second, Promise.resolve()), [...heard, ...rest]);
  assert.equal(await second.follow(() => Promise.resolve(), Promise.resolve(), 99), 99);
});

journalTest("follow() sends only events that are on disk when the journal is kept", async (path) => {
  const journal = await kept(path);
  const running = journal.phase("a", async () => {
    for (let i = 0; i < 20; i++) {
      journal.detail("a", `${i}`);
      if (i % 5 === 0) await new Promise((resolve) => setTimeout(resolve));
    }
  });
  const numbers: number[] = [];
  await journal.follow(async ({ number }) => {
    const { events } = await onDisk(path);
    assert.ok((events.at(-1)?.number ?? 0) >= number, `event ${number} is not on disk`);
    numbers.push(number);
  }, running);
  assert.deepEqual(numbers, Array.from({ length: 22 }, (_, index) => index + 1));
});

journalTest(
  "follow() ends after the last event when `until` rejects, and throws the error of `send`",
  async (path) => {
    const journal = await kept(path);
    const running = journal.phase("a", () => Promise.reject(boom));
    assert.deepEqual((await heardFrom(journal, running)).map(short), ["1 a started", "2 a failed"]);
    await assert.rejects(running, boom);
    const gone = new Error("the operator is gone");
    await assert.rejects(journal.follow(() => Promise.reject(gone), new Promise(() => {})), gone);
  },
);

journalTest("several followers receive the same events, each at its own pace", async (path) => {
  const journal = await kept(path);
  const running = (async () => {
    for (const name of ["a", "b", "c"]) await journal.phase(name, nothing);
  })();
  const slow: JournalEvent[] = [];
  const [fast] = await Promise.all([
    heardFrom(journal, running),
    journal.follow(async (event) => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      slow.push(event);
    }, running),
  ]);
  assert.deepEqual(slow, fast);
  assert.equal(fast.length, 6);
});

journalTest("detail() is written together with changes during a write", async (path, folder) => {
  const journal = await kept(path);
  const watcher = Deno.watchFs(folder);
  const renames = (async () => {
    let count = 0;
    for await (const { kind, paths } of watcher) if (kind === "rename" && paths.includes(path)) count++;
    return count;
  })();
  await journal.phase("a", () => {
    for (let i = 0; i < 100; i++) journal.detail("a", `${i}`);
    return Promise.resolve();
  });
  watcher.close();
  assert.ok(await renames < 10, `${await renames} writes for 100 details`);
  assert.equal((await onDisk(path)).events.length, 102);
});

journalTest("waiting() records why a step is tried again, and is read after a restart", async (path) => {
  const journal = new Journal(PARTS);
  await journal.keep(path, HEAD);
  await journal.phase("a", () => Promise.resolve(journal.waiting("a", "try 1 failed: no answer; next try in 0.3 s")));
  const events = await heardFrom(await Journal.read(path, PARTS) ?? assert.fail(), Promise.resolve());
  assert.deepEqual(events.map(short), ["1 a started", "2 a waiting", "3 a done"]);
  assert.equal(events[1]?.detail, "try 1 failed: no answer; next try in 0.3 s");
});

journalTest("detail() keeps the latest events, shortened to the limit, and well formed", async (path) => {
  const journal = await kept(path);
  await journal.phase("a", () => {
    for (let i = 0; i < MAXIMUM_EVENTS + 50; i++) journal.detail("a", `${i} ${"x".repeat(MAXIMUM_DETAIL_LENGTH)}`);
    // The limit falls into the middle of a character.
    journal.detail("a", `${"x".repeat(MAXIMUM_DETAIL_LENGTH - 1)}\u{1F511}`);
    return Promise.resolve();
  });
  const { events } = await onDisk(path);
  assert.equal(events.length, MAXIMUM_EVENTS);
  assert.deepEqual(events.map(({ number }) => number), events.map((_, index) => index + (events[0]?.number ?? 0)));
  assert.ok(events.every(({ detail }) => detail.length <= MAXIMUM_DETAIL_LENGTH && detail.isWellFormed()));
  assert.deepEqual((await reread(path)).steps.length, 1);
});

journalTest(
  "phase() does not begin its work when the journal cannot be written, and names the file",
  async (path, folder) => {
    const journal = await kept(path);
    await Deno.remove(folder, { recursive: true });
    let begun = false;
    const work = () => Promise.resolve(void (begun = true));
    await assert.rejects(journal.phase("a", work), { code: "system/file", details: { path } });
    assert.ok(!begun);
    await Deno.mkdir(folder);
    await journal.phase("a", work);
    assert.ok(begun);
  },
);

journalTest("phase() fails when its end cannot be written, and the step is not done", async (path, folder) => {
  const journal = await kept(path);
  const breaks = () => Deno.remove(folder, { recursive: true });
  await assert.rejects(journal.phase("a", breaks), { code: "system/file", details: { path } });
  assert.equal(journal.doneAt("a"), undefined);
  await Deno.mkdir(folder);
  await journal.phase("a", nothing);
  assert.deepEqual((await reread(path)).doneAt("a"), journal.doneAt("a"));
});

journalTest("follow() does not send an event whose write failed until a later write succeeds", async (path, folder) => {
  const journal = await kept(path);
  await journal.phase("a", nothing);
  await Deno.remove(folder, { recursive: true });
  await assert.rejects(journal.phase("b", nothing), { code: "system/file" });
  assert.deepEqual((await heardFrom(journal, Promise.resolve())).map(short), ["1 a started", "2 a done"]);
  await Deno.mkdir(folder);
  await journal.phase("c", nothing);
  const numbers = (await heardFrom(journal, Promise.resolve())).map(({ number }) => number);
  assert.deepEqual(numbers, (await onDisk(path)).events.map(({ number }) => number));
});

Deno.test("a journal equals the one that is read back after each write, after any operations", async () => {
  const names = fc.constantFrom("a", "b", "c");
  const act = fc.record({ name: names, kind: fc.constantFrom("done", "failed", "detail", "restart") });
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 12 }), async (acts) => {
      const folder = await Deno.makeTempDir({ prefix: "journal-" });
      const path = join(folder, "join");
      try {
        let journal = await kept(path);
        for (const { name, kind } of acts) {
          if (kind === "restart") {
            // A process that has ended writes nothing more.
            await heardFrom(journal, Promise.resolve());
            journal = await reread(path);
          } else if (kind === "detail") journal.detail(name, "said");
          else if (kind === "done") await journal.phase(name, nothing);
          else await journal.phase(name, () => Promise.reject(boom)).catch(() => {});
        }
        await journal.phase("end", nothing);
        const again = await reread(path);
        assert.deepEqual(again.steps, journal.steps);
        const events = await heardFrom(again, Promise.resolve());
        assert.deepEqual(events, await heardFrom(journal, Promise.resolve()));
        assert.deepEqual(events.map(({ number }) => number), events.map((_, index) => index + 1));
        assert.doesNotMatch(fromUtf8(await Deno.readFile(path), path), /PRIVATE KEY/);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    }),
    { numRuns: 30 },
  );
});

Deno.test("checkJournalHead() refuses the journal of another owner, cluster, node or role, and names what differs", () => {
  const { operation: _, ...expected } = HEAD;
  checkJournalHead({ ...HEAD, operation: { id: "", operatorKey: "", request: "" } }, expected);
  const others = [
    ["owner", { ...HEAD, owner: "init" }],
    ["clusterId", { ...HEAD, clusterId: "cd".repeat(32) }],
    ["nodeName", { ...HEAD, nodeName: "worker-2" }],
    ["role", { ...HEAD, role: "control-plane" }],
  ] as const;
  for (const [field, head] of others) {
    assert.throws(() => checkJournalHead(head, expected), (error: unknown) => {
      assert(error instanceof BootstrapError);
      assert.equal(error.code, "precondition/journal");
      assert.deepEqual(error.details, { field, expected: expected[field], seen: head[field] });
      assert.match(error.next, /configuration/);
      return true;
    });
  }
});

Deno.test("checkJournalOperation() refuses the journal of another operation, operator or request, and names what differs", () => {
  const staged = { id: "01".repeat(16), operatorKey: "02", request: "03".repeat(32) };
  checkJournalOperation({ operation: staged }, staged);
  for (const name of ["id", "operatorKey", "request"] as const) {
    for (const operation of [{ ...staged, [name]: "ff" }, undefined]) {
      const field = operation === undefined ? "id" : name;
      assert.throws(() => checkJournalOperation(operation === undefined ? {} : { operation }, staged), {
        code: "precondition/journal",
        details: { field: `operation.${field}`, expected: staged[field], seen: operation?.[field] ?? "" },
      });
    }
  }
});
