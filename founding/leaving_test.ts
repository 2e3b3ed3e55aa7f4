import { deepEqual, equal } from "node:assert/strict";
import { join } from "node:path";
import { finishLeaving, removeFounder } from "./leaving.ts";
import { founderFolder } from "./testing/folder.ts";

const FILES = ["key.pem", "certificate.pem", "pledge", "roster", "decision", "trusted.pem", "started", "complete"];

async function fill(folder: string): Promise<void> {
  for (const name of FILES) await Deno.writeTextFile(join(folder, name), "");
  await Deno.mkdir(join(folder, "etcd/member/wal"), { recursive: true });
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).toSorted();
}

Deno.test("removeFounder() removes everything of a founder but what its join service needs", async () => {
  await using folder = await founderFolder();
  await fill(folder.path);
  await removeFounder(folder.path);
  deepEqual(await namesIn(folder.path), ["complete"]);
  equal(await finishLeaving(folder.path), false);
  await removeFounder(join(folder.path, "none"));
});

Deno.test("finishLeaving() goes on where a killed process stopped, and does nothing to a founder that stays", async () => {
  await using folder = await founderFolder();
  await fill(folder.path);
  equal(await finishLeaving(folder.path), false);
  equal((await namesIn(folder.path)).length, FILES.length + 1);
  await Deno.writeTextFile(join(folder.path, "leaving"), "version 1\n");
  await Deno.remove(join(folder.path, "key.pem"));
  equal(await finishLeaving(folder.path), true);
  deepEqual(await namesIn(folder.path), ["complete"]);
});
