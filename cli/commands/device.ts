/**
 * `bootstrapper device`, which no person calls: the process that keeps the permission to open a confidential VM's devices.
 *
 * @module
 */
import type { Command } from "commander";
import { systemRegisterFiles } from "../../attestation/kinds/tdx/rtmr.ts";
import type { ConfidentialDevice } from "../../attestation/tsm/device.ts";
import { connectDevice, serveDevice } from "../../attestation/tsm/device.ts";
import { readTsmReport } from "../../attestation/tsm/report.ts";

const NAME = "device";

/**
 * Declares `device`, hidden. It is compiled into the binary, so that whoever may start it may open the devices anyway.
 *
 * @internal
 */
export function declareDevice(program: Command): void {
  program.command(NAME, { hidden: true }).action(async () => {
    const pipe = { readable: Deno.stdin.readable, writable: Deno.stdout.writable };
    await serveDevice(pipe, { report: (request) => readTsmReport(request), registers: systemRegisterFiles() });
  });
}

/**
 * Starts this program as `device`.
 *
 * @param onEnd Called when that process ends while this one runs.
 */
export function startDeviceProcess(onEnd: () => void): ConfidentialDevice {
  const child = new Deno.Command(Deno.execPath(), {
    ...{ args: [NAME], clearEnv: true, stdin: "piped", stdout: "piped", stderr: "inherit" },
  }).spawn();
  // It ends with the pipe, and this process never waits for it.
  child.unref();
  child.status.then(onEnd, onEnd);
  return connectDevice({ readable: child.stdout, writable: child.stdin });
}
