/**
 * The process that keeps the permission to open a confidential VM's devices, as the one that uses it sees it.
 *
 * @module
 */
import type { ConfidentialDevice } from "../attestation/tsm/device.ts";
import { connectDevice } from "../attestation/tsm/device.ts";

/** The command that the process runs. */
export const DEVICE_COMMAND = "device";

/**
 * Starts this program as {@linkcode DEVICE_COMMAND}.
 *
 * @param onEnd Called when that process ends while this one runs.
 */
export function startDeviceProcess(onEnd: () => void): ConfidentialDevice {
  const child = new Deno.Command(Deno.execPath(), {
    ...{ args: [DEVICE_COMMAND], clearEnv: true, stdin: "piped", stdout: "piped", stderr: "inherit" },
  }).spawn();
  // It ends with the pipe, and this process never waits for it.
  child.unref();
  child.status.then(onEnd, onEnd);
  return connectDevice({ readable: child.stdout, writable: child.stdin });
}
