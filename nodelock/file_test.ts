import { deepEqual, equal, rejects } from "node:assert/strict";
import { join } from "node:path";
import { temporaryFolder } from "./testing/temporary_folder.ts";
import { LockFile } from "./file.ts";
import type { LockRecord } from "./record.ts";

const record: LockRecord = { owner: "join", clusterId: new Uint8Array(32).fill(7), time: new Date(0) };

async function namesIn(folder: string): Promise<readonly string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

Deno.test("LockFile.stage() leaves the name free until the lock is linked", async () => {
  await using folder = await temporaryFolder();
  const file = new LockFile(folder.path);
  const staged = await file.stage(record);
  equal(await file.read(), undefined);
  equal(await staged.link(), true);
  deepEqual(await file.readDurably(), record);
  deepEqual(await namesIn(folder.path), ["node.lock"]);
  equal(((await Deno.stat(file.path)).mode ?? 0) & 0o777, 0o644);
});

Deno.test("LockFile.stage() changes nothing when the name is taken or the file is discarded", async () => {
  await using folder = await temporaryFolder();
  const file = new LockFile(folder.path);
  await (await file.stage(record)).link();
  equal(await (await file.stage({ ...record, owner: "init" })).link(), false);
  await (await file.stage({ ...record, owner: "init" })).discard();
  deepEqual(await file.read(), record);
  deepEqual(await namesIn(folder.path), ["node.lock"]);
});

Deno.test("LockFile.read() rejects when the file is empty, foreign or oversized", async () => {
  await using folder = await temporaryFolder();
  const file = new LockFile(folder.path);
  for (const [text, code] of [["", "lock-record"], ["{}\n", "lock-record"], ["x".repeat(1 << 20), "size"]]) {
    await Deno.writeTextFile(file.path, text ?? "");
    await rejects(file.read(), { code: `malformed/${code}` });
    await rejects(file.readDurably(), { code: `malformed/${code}` });
  }
});

Deno.test("LockFile.removeLeftovers() removes temporary files of the lock, and nothing else", async () => {
  await using folder = await temporaryFolder();
  const file = new LockFile(folder.path);
  await (await file.stage(record)).link();
  await file.stage(record);
  const others = [".journal.0123456789abcdef.tmp", ".node.lock.tmp", ".node.lock.0123456789abcdef.tmp.old", "x.tmp"];
  for (const name of others) await Deno.writeTextFile(join(folder.path, name), "");
  await file.removeLeftovers();
  deepEqual(await namesIn(folder.path), [...others, "node.lock"].sort());
  deepEqual(await file.read(), record);
});
