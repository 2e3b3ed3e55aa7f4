import { deepEqual, equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LOCK_REGISTER } from "../../attestation/evidence.ts";
import { extendedOnce, lockDigest } from "../../attestation/transcript.ts";
import { LockFile } from "../../nodelock/file.ts";
import { openNodeLock } from "../../nodelock/lock.ts";
import { takeRunLock } from "../../nodelock/run_lock.ts";
import { isZero } from "../../platform/bytes.ts";
import { systemClock } from "../../platform/clock.ts";
import { FileRegisters } from "./_file_registers.ts";

const clusterId = new Uint8Array(32).fill(7);
const MAXIMUM_STEPS = 200;

/** Runs the locker until its step. `undefined` if it died there, the names of all steps if it lived. */
async function crash(folder: string, registersPath: string, step: number): Promise<string | undefined> {
  const program = fileURLToPath(import.meta.resolve("./_crashing_locker.ts"));
  const args = ["run", "--allow-all", program, folder, registersPath, String(step)];
  const { code, signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  ok(signal === "SIGKILL" || code === 0, new TextDecoder().decode(stderr));
  return signal === "SIGKILL" ? undefined : new TextDecoder().decode(stdout);
}

/** What a crash left behind. */
async function leftBy(state: string, registers: FileRegisters): Promise<string> {
  const locked = await new LockFile(state).read() !== undefined;
  const measured = !isZero(await registers.read(LOCK_REGISTER));
  return `${locked ? "locked" : "fresh"}, ${measured ? "measured" : "not measured"}`;
}

/** Starts on what a crash left; the node is then either fresh without a trace, or locked and measured once. */
async function heal(state: string, registers: FileRegisters): Promise<void> {
  using _runLock = await takeRunLock(state);
  const nodeLock = await openNodeLock({ folder: state, registers, clock: systemClock });
  const names = (await Array.fromAsync(Deno.readDir(state))).map(({ name }) => name).sort();
  const now = nodeLock.state();
  if (now.name === "unlocked") {
    deepEqual(names, ["run.lock"]);
    ok(isZero(await registers.read(LOCK_REGISTER)));
    equal(await nodeLock.take({ owner: "join", clusterId }), true);
  } else {
    ok(now.name === "locked");
    deepEqual([now.lock.owner, now.lock.clusterId], ["init", clusterId]);
    deepEqual(names, ["node.lock", "run.lock"]);
  }
  deepEqual(await registers.read(LOCK_REGISTER), await extendedOnce(await lockDigest(clusterId)));
}

for (const { name, rebooted } of [{ name: "kill -9", rebooted: false }, { name: "power loss", rebooted: true }]) {
  Deno.test(`openNodeLock() heals a ${name} at every step of taking the lock`, async () => {
    const seen = new Set<string>();
    let steps: string | undefined;
    for (let step = 1; steps === undefined; step++) {
      ok(step < MAXIMUM_STEPS, "the locker never comes to its end");
      const folder = await Deno.makeTempDir({ prefix: "nodelock-" });
      try {
        const state = join(folder, "state");
        const registersPath = join(folder, "registers.json");
        const registers = new FileRegisters(registersPath);
        steps = await crash(state, registersPath, step);
        seen.add(await leftBy(state, registers));
        if (rebooted) await Deno.remove(registersPath).catch(() => {});
        await heal(state, registers);
      } catch (cause) {
        throw new Error(`After a death at step ${step}`, { cause });
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    }
    deepEqual([...seen], ["fresh, not measured", "locked, not measured", "locked, measured"]);
    // What a power cut can lose is what was not synced: the file before the link, the folder before the measurement.
    match(steps ?? "", /write write chmod chmod sync sync link link .*open open sync sync .*extend read read$/);
  });
}

Deno.test("openNodeLock() syncs a lock that it finds, and its folder, before it measures", async () => {
  const folder = await Deno.makeTempDir({ prefix: "nodelock-" });
  try {
    const [state, registersPath] = [join(folder, "state"), join(folder, "registers.json")];
    await crash(state, registersPath, 0);
    await Deno.remove(registersPath);
    const steps = await crash(state, registersPath, 0);
    match(steps ?? "", /open open sync sync open open sync sync read read read read extend read read$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
