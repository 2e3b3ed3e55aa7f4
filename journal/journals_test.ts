import assert from "node:assert/strict";
import { join } from "node:path";
import { systemClock } from "../platform/clock.ts";
import { journalFolder, Journals } from "./journals.ts";
import type { JournalOwner } from "./journals.ts";

const CLUSTER = new Uint8Array(32).fill(0xab);
const OTHER_CLUSTER = new Uint8Array(32).fill(0xcd);
const OWNER: JournalOwner = { owner: "join", nodeName: "worker-1", role: "worker" };
const PARTS = { clock: systemClock, recorder: { phase: <T>(_: string, work: () => Promise<T>) => work() } };

function folderTest(name: string, run: (folder: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir({ prefix: "journals-" });
    try {
      await run(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

folderTest("Journals.keep() puts a draft on disk for the next process", async (folder) => {
  const journals = new Journals(folder, OWNER, PARTS);
  const draft = journals.draft();
  await draft.phase("join-ticket", () => Promise.resolve());
  const operation = { id: "01".repeat(16), operatorKey: "02", request: "03".repeat(32) };
  await journals.keep(draft, CLUSTER, operation);
  const read = await new Journals(folder, OWNER, PARTS).read(CLUSTER);
  assert.deepEqual(read.head, { ...OWNER, clusterId: "ab".repeat(32), operation });
  assert.deepEqual(read.steps, draft.steps);
});

folderTest("Journals.read() fails when a locked node has no journal", async (folder) => {
  const journals = new Journals(folder, OWNER, PARTS);
  const path = join(journalFolder(folder), "join");
  await assert.rejects(journals.read(CLUSTER), { code: "precondition/journal", details: { path } });
  await journals.keep(journals.draft(), CLUSTER);
  await journals.discard();
  await assert.rejects(journals.read(CLUSTER), { code: "precondition/journal", details: { path } });
  await journals.discard();
});

folderTest("Journals.read() refuses the journal of another cluster, node, role or owner", async (folder) => {
  const journals = new Journals(folder, OWNER, PARTS);
  await journals.keep(journals.draft(), CLUSTER);
  await assert.rejects(journals.read(OTHER_CLUSTER), { code: "precondition/journal" });
  for (const other of [{ nodeName: "worker-2" }, { role: "control-plane" }] as const) {
    const read = new Journals(folder, { ...OWNER, ...other }, PARTS).read(CLUSTER);
    await assert.rejects(read, { code: "precondition/journal" });
  }
  const init = { ...OWNER, owner: "init" } as const;
  await Deno.rename(join(journalFolder(folder), "join"), join(journalFolder(folder), "init"));
  await assert.rejects(new Journals(folder, init, PARTS).read(CLUSTER), {
    code: "precondition/journal",
    details: { field: "owner", expected: "init", seen: "join" },
  });
});

folderTest("Journals.discard() removes only the journal of its own owner", async (folder) => {
  const join = new Journals(folder, OWNER, PARTS);
  const init = new Journals(folder, { ...OWNER, owner: "init", role: "control-plane" }, PARTS);
  await join.keep(join.draft(), CLUSTER);
  await init.keep(init.draft(), CLUSTER);
  await init.discard();
  await join.read(CLUSTER);
  await assert.rejects(init.read(CLUSTER), { code: "precondition/journal" });
});
