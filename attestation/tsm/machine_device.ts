import { BootstrapError } from "../../platform/errors.ts";
import type { ConfidentialDevice } from "./device.ts";
import { TSM_FOLDER } from "./report.ts";

/**
 * Returns the devices of a machine that must be a confidential VM.
 *
 * @param kind The kind of evidence that needs the devices, for the error.
 * @throws {BootstrapError} `precondition/no-device`.
 */
export function neededDevice(device: ConfidentialDevice | undefined, kind: string): ConfidentialDevice {
  if (device !== undefined) return device;
  throw new BootstrapError(
    "precondition/no-device",
    `This machine has no ${TSM_FOLDER}, so there is no evidence of ${kind}`,
    {
      next:
        "Run the machine as a confidential VM with a kernel that has configfs-tsm (6.7 or later), and mount configfs",
    },
  );
}
