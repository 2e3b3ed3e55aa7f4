/**
 * A process that takes the node lock and kills itself while doing so, as `kill -9` does.
 *
 * Arguments: the state folder, the socket of a software TPM, the step at which to die. A step is the moment before or
 * after a call that changes the folder, syncs, or talks to the TPM. If the process survives, it prints the names of all
 * steps.
 *
 * @module
 */
import { createTpmIssuer } from "../../../attestation/kinds/tpm/issuer.ts";
import { connectTpmSocket } from "../../../attestation/kinds/tpm/testing/socket_transport.ts";
import { openNodeLock } from "../../../nodelock/lock.ts";
import { takeRunLock } from "../../../nodelock/run_lock.ts";
import { systemClock } from "../../../platform/clock.ts";

/** Calls `step` before and after each call of these functions. */
function watch<T extends object>(target: T, names: readonly (keyof T & string)[], step: (name: string) => void): void {
  for (const name of names) {
    const original = target[name];
    if (typeof original !== "function") throw new Error(`${name} is no function`);
    const watched = async function (this: unknown, ...args: unknown[]) {
      step(name);
      const result = await Reflect.apply(original, this, args);
      step(name);
      return result;
    };
    Object.defineProperty(target, name, { value: watched });
  }
}

if (import.meta.main) {
  const [folder = "", socketPath = "", fatalStep = ""] = Deno.args;
  const steps: string[] = [];
  const step = (name: string) => {
    if (steps.push(name) === Number(fatalStep)) Deno.kill(Deno.pid, "SIGKILL");
  };
  watch(Deno, ["open", "link", "remove", "chmod"], step);
  watch(Deno.FsFile.prototype, ["write", "sync"], step);
  using _runLock = await takeRunLock(folder);
  const transport = await connectTpmSocket({ path: socketPath });
  const registers = createTpmIssuer(transport, "rsa2048");
  watch(registers, ["read", "extend"], step);
  const nodeLock = await openNodeLock({ folder, registers, clock: systemClock });
  await nodeLock.take({ owner: "init", clusterId: new Uint8Array(32).fill(7) });
  transport.close();
  Deno.stdout.writeSync(new TextEncoder().encode(steps.join(" ")));
}
