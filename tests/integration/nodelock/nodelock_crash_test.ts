import { deepEqual, equal, match, ok } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { MeasurementRegisters } from "../../../attestation/evidence.ts";
import { LOCK_REGISTER } from "../../../attestation/evidence.ts";
import { createTpmIssuer } from "../../../attestation/kinds/tpm/issuer.ts";
import { extendedOnce, lockDigest } from "../../../protocol/transcript.ts";
import { LockFile } from "../../../nodelock/file.ts";
import { openNodeLock } from "../../../nodelock/lock.ts";
import { takeRunLock } from "../../../nodelock/run_lock.ts";
import { isZero } from "../../../platform/bytes.ts";
import { systemClock } from "../../../platform/clock.ts";
import type { Swtpm } from "../../swtpm.ts";
import { hasSwtpm, startSwtpm } from "../../swtpm.ts";

const clusterId = new Uint8Array(32).fill(7);
const MAXIMUM_STEPS = 200;

const ignore = !await hasSwtpm();
const reason = ignore ? " (ignored, as there is no swtpm)" : "";

/**
 * Runs the locker until the given step. Returns `undefined` if it died there, or the names of all steps if it survived.
 */
async function crash(folder: string, tpm: Swtpm, step: number): Promise<string | undefined> {
  const program = fileURLToPath(import.meta.resolve("./_crashing_locker.ts"));
  const args = ["run", "--allow-all", program, folder, tpm.socketPath, String(step)];
  const { code, signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  ok(signal === "SIGKILL" || code === 0, new TextDecoder().decode(stderr));
  return signal === "SIGKILL" ? undefined : new TextDecoder().decode(stdout);
}

async function withRegisters<T>(tpm: Swtpm, use: (registers: MeasurementRegisters) => Promise<T>): Promise<T> {
  const transport = await tpm.connect();
  try {
    return await use(createTpmIssuer(transport, "rsa2048"));
  } finally {
    transport.close();
  }
}

/** The state that a crash left behind. */
async function leftBy(folder: string, registers: MeasurementRegisters): Promise<string> {
  const locked = await new LockFile(folder).read() !== undefined;
  const measured = !isZero(await registers.read(LOCK_REGISTER));
  return `${locked ? "locked" : "fresh"}, ${measured ? "measured" : "not measured"}`;
}

/** Opens the lock after a crash. The node is then either fresh without a trace, or locked and measured once. */
async function heal(folder: string, registers: MeasurementRegisters): Promise<void> {
  using _runLock = await takeRunLock(folder);
  const nodeLock = await openNodeLock({ folder, registers, clock: systemClock });
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
  const state = nodeLock.state();
  if (state.name === "unlocked") {
    deepEqual(names, ["run.lock"]);
    ok(isZero(await registers.read(LOCK_REGISTER)));
    equal(await nodeLock.take({ owner: "join", clusterId }), true);
  } else {
    ok(state.name === "locked");
    deepEqual([state.lock.owner, state.lock.clusterId], ["init", clusterId]);
    deepEqual(names, ["node.lock", "run.lock"]);
  }
  deepEqual(await registers.read(LOCK_REGISTER), await extendedOnce(await lockDigest(clusterId)));
}

for (const { death, reboots } of [{ death: "kill -9", reboots: false }, { death: "power loss", reboots: true }]) {
  Deno.test(`openNodeLock() heals a ${death} at every step of taking the lock${reason}`, { ignore }, async () => {
    await using tpm = await startSwtpm({ bare: true });
    const seen = new Set<string>();
    let steps: string | undefined;
    for (let step = 1; steps === undefined; step++) {
      ok(step < MAXIMUM_STEPS, "the locker never comes to its end");
      const folder = await Deno.makeTempDir({ prefix: "nodelock-" });
      try {
        await tpm.restart();
        steps = await crash(folder, tpm, step);
        seen.add(await withRegisters(tpm, (registers) => leftBy(folder, registers)));
        if (reboots) await tpm.restart();
        await withRegisters(tpm, (registers) => heal(folder, registers));
      } catch (cause) {
        throw new Error(`After a death at step ${step}`, { cause });
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    }
    deepEqual([...seen], ["fresh, not measured", "locked, not measured", "locked, measured"]);
    // A power cut can lose data that was not synced: the file before the link, the folder before the measurement.
    match(steps, /write write chmod chmod sync sync link link .*open open sync sync .*extend extend read read$/);
  });
}

Deno.test(`openNodeLock() syncs a lock that it finds, and its folder, before it measures${reason}`, {
  ignore,
}, async () => {
  await using tpm = await startSwtpm({ bare: true });
  const folder = await Deno.makeTempDir({ prefix: "nodelock-" });
  try {
    await crash(folder, tpm, 0);
    await tpm.restart();
    const steps = await crash(folder, tpm, 0);
    match(steps ?? "", /open open sync sync open open sync sync read read extend extend read read$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
