import { deepEqual, equal, rejects } from "node:assert/strict";
import { join } from "node:path";
import { temporaryFolder } from "./testing/temporary_folder.ts";
import { LockFile } from "./file.ts";
import { takeRunLock } from "./run_lock.ts";

Deno.test("takeRunLock() rejects while the lock is held, and not afterwards", async () => {
  await using folder = await temporaryFolder();
  const state = join(folder.path, "state");
  const first = await takeRunLock(state);
  await rejects(takeRunLock(state), { code: "conflict/run", retriable: true });
  await rejects(takeRunLock(state), { code: "conflict/run" });
  first[Symbol.dispose]();
  using _second = await takeRunLock(state);
  await rejects(takeRunLock(state), { code: "conflict/run" });
});

Deno.test("takeRunLock() removes the files of killed contenders, and only after it has the lock", async () => {
  await using folder = await temporaryFolder();
  const file = new LockFile(folder.path);
  const record = { owner: "init", clusterId: new Uint8Array(32), time: new Date(0) } as const;
  const names = async () => (await Array.fromAsync(Deno.readDir(folder.path))).map(({ name }) => name);
  {
    using _held = await takeRunLock(folder.path);
    const staged = await file.stage(record);
    await rejects(takeRunLock(folder.path), { code: "conflict/run" });
    equal((await names()).length, 2);
    equal(await staged.link(), true);
    await file.stage(record);
  }
  using _held = await takeRunLock(folder.path);
  deepEqual((await names()).sort(), ["node.lock", "run.lock"]);
});

Deno.test("takeRunLock() rejects when the folder cannot be created", async () => {
  await using folder = await temporaryFolder();
  await Deno.writeTextFile(join(folder.path, "file"), "");
  await rejects(takeRunLock(join(folder.path, "file", "state")), { code: "system/run-lock" });
});
