import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { LOCK_REGISTER } from "../attestation/evidence.ts";
import { extendedOnce, lockDigest } from "../protocol/transcript.ts";
import { BootstrapError } from "../platform/errors.ts";
import { MemoryRegisters } from "./testing/memory_registers.ts";
import { temporaryFolder } from "./testing/temporary_folder.ts";
import { LockFile } from "./file.ts";
import { openNodeLock } from "./lock.ts";

const clock = { now: () => new Date("2026-01-02T03:04:05.678Z") };
const clusterId = new Uint8Array(32).fill(7);
const init = { owner: "init", clusterId } as const;
const join = { owner: "join", clusterId: new Uint8Array(32).fill(8) } as const;
const lock = { ...init, time: clock.now() };

Deno.test("openNodeLock() is unlocked when the node is fresh, and locks when taken", async () => {
  await using folder = await temporaryFolder();
  const registers = new MemoryRegisters();
  const nodeLock = await openNodeLock({ folder: folder.path, registers, clock });
  deepEqual(nodeLock.state(), { name: "unlocked" });
  equal(await nodeLock.take(init), true);
  deepEqual(nodeLock.state(), { name: "locked", lock });
  deepEqual(await registers.read(LOCK_REGISTER), await extendedOnce(await lockDigest(clusterId)));
  equal(await nodeLock.take(init), false);
});

Deno.test("openNodeLock() measures an existing lock when the registers are zero again", async () => {
  await using folder = await temporaryFolder();
  const options = { folder: folder.path, clock };
  equal(await (await openNodeLock({ ...options, registers: new MemoryRegisters() })).take(init), true);
  const registers = new MemoryRegisters();
  for (let boot = 0; boot < 2; boot++) {
    const nodeLock = await openNodeLock({ ...options, registers });
    deepEqual(nodeLock.state(), { name: "locked", lock });
    equal(await nodeLock.take(join), false);
  }
  equal(registers.extensions, 1);
});

Deno.test("openNodeLock() rejects and shows the register when the lock is missing or another cluster's", async () => {
  await using folder = await temporaryFolder();
  const registers = new MemoryRegisters();
  const options = { folder: folder.path, registers, clock };
  await (await openNodeLock(options)).take(init);
  await Deno.remove(new LockFile(folder.path).path);
  await rejects(openNodeLock(options), { code: "precondition/lock-missing", message: /PCR 15 holds [1-9a-f]/ });
  await (await openNodeLock({ folder: folder.path, clock })).take(join);
  await rejects(openNodeLock(options), { code: "precondition/register" });
});

Deno.test("openNodeLock() rejects when the lock file is empty, and touches neither file nor register", async () => {
  await using folder = await temporaryFolder();
  const { path } = new LockFile(folder.path);
  await Deno.writeTextFile(path, "");
  const registers = new MemoryRegisters();
  await rejects(openNodeLock({ folder: folder.path, registers, clock }), { code: "malformed/lock-record" });
  deepEqual([registers.extensions, await Deno.readTextFile(path)], [0, ""]);
});

Deno.test("NodeLock.take() returns true to exactly one of many contenders, after the measurement", async () => {
  await using folder = await temporaryFolder();
  const registers = new MemoryRegisters();
  const nodeLock = await openNodeLock({ folder: folder.path, registers, clock });
  const wins = await Promise.all(Array.from({ length: 50 }, async (_, number) => {
    const won = await nodeLock.take(number % 2 === 0 ? init : join);
    equal(nodeLock.state().name, "locked");
    equal(registers.extensions, 1);
    return won;
  }));
  deepEqual(wins.flatMap((won, number) => won ? [number] : []), [0]);
});

Deno.test("NodeLock.take() returns true to exactly one of many locks opened on one folder", async () => {
  await using folder = await temporaryFolder();
  const locks = await Promise.all(Array.from({ length: 20 }, () => openNodeLock({ folder: folder.path, clock })));
  const wins = await Promise.all(locks.map((nodeLock, number) => nodeLock.take(number % 2 === 0 ? init : join)));
  equal(wins.filter(Boolean).length, 1);
  const held = wins.indexOf(true) % 2 === 0 ? init : join;
  for (const nodeLock of locks) deepEqual(nodeLock.state(), { name: "locked", lock: { ...held, time: clock.now() } });
});

Deno.test("NodeLock.take() leaves the node fresh when the claim no longer stands", async () => {
  await using folder = await temporaryFolder();
  const registers = new MemoryRegisters();
  const nodeLock = await openNodeLock({ folder: folder.path, registers, clock });
  equal(await nodeLock.take({ ...init, confirm: () => false }), false);
  const broken = () => {
    throw new BootstrapError("internal/unexpected", "Broken");
  };
  await rejects(nodeLock.take({ ...init, confirm: broken }), { code: "internal/unexpected" });
  deepEqual(nodeLock.state(), { name: "unlocked" });
  equal((await Array.fromAsync(Deno.readDir(folder.path))).length, 0);
  equal(registers.extensions, 0);
  equal(await nodeLock.take(join), true);
});

Deno.test("NodeLock.take() asks for confirmation after staging, and is locking from then on", async () => {
  await using folder = await temporaryFolder();
  const nodeLock = await openNodeLock({ folder: folder.path, registers: new MemoryRegisters(), clock });
  const seen: string[] = [];
  const confirm = () => {
    seen.push(...[...Deno.readDirSync(folder.path)].map(({ name }) => name.replace(/[0-9a-f]{16}/, "…")));
    seen.push(nodeLock.state().name);
    queueMicrotask(() => seen.push(nodeLock.state().name));
    return true;
  };
  equal(await nodeLock.take({ ...init, confirm }), true);
  deepEqual(seen, [".node.lock.….tmp", "unlocked", "locking"]);
});

Deno.test("NodeLock.take() fails permanently when measuring fails, and the next start repairs it", async () => {
  await using folder = await temporaryFolder();
  const registers = new MemoryRegisters();
  const options = { folder: folder.path, registers, clock };
  const nodeLock = await openNodeLock(options);
  registers.extend = () => Promise.reject(new BootstrapError("system/tpm", "The TPM does not answer"));
  await Promise.all([init, join].map((claim) => rejects(nodeLock.take(claim), { code: "system/tpm" })));
  const failed = nodeLock.state();
  ok(failed.name === "failed" && failed.error.code === "system/tpm");
  const healed = await openNodeLock({ ...options, registers: new MemoryRegisters() });
  deepEqual(healed.state(), { name: "locked", lock });
});

Deno.test("NodeLock.take() rejects when the lock cannot be staged, and the node is still unlocked", async () => {
  const folder = await temporaryFolder();
  const registers = new MemoryRegisters();
  const nodeLock = await openNodeLock({ folder: folder.path, registers, clock });
  await folder[Symbol.asyncDispose]();
  await rejects(nodeLock.take(init), { code: "system/file" });
  deepEqual(nodeLock.state(), { name: "unlocked" });
  equal(registers.extensions, 0);
});
