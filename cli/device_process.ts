/**
 * Starts the process that keeps the permission to open a confidential VM's devices, and connects to it.
 *
 * @module
 */
import type { ConfidentialDevice } from "../attestation/tsm/device.ts";
import { connectDevice } from "../attestation/tsm/device.ts";

/** The name of the command that the process runs. */
export const DEVICE_COMMAND = "device";

/**
 * Starts this program with the command {@linkcode DEVICE_COMMAND}.
 *
 * @param onEnd Called if the started process ends while this process runs.
 */
export function startDeviceProcess(onEnd: () => void): ConfidentialDevice & Disposable {
  const child = new Deno.Command(Deno.execPath(), {
    ...{ args: [DEVICE_COMMAND], clearEnv: true, stdin: "piped", stdout: "piped", stderr: "inherit" },
  }).spawn();
  // The child ends when the pipe closes; this process does not wait for it.
  child.unref();
  child.status.then(onEnd, onEnd);
  return connectDevice({ readable: child.stdout, writable: child.stdin });
}
