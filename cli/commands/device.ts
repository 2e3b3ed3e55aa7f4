/**
 * `bootstrapper device`, which no person calls: the process that keeps the permission to open a confidential VM's devices.
 *
 * @module
 */
import type { CliCommand } from "../command.ts";
import { DEVICE_COMMAND } from "../device_process.ts";

/** Serves reports and registers until its input ends. It is hidden: who may start the binary may open the devices anyway. */
export const device: CliCommand<undefined> = {
  name: DEVICE_COMMAND,
  group: "On a node:",
  description: "serve a confidential VM's devices to the process that started this one",
  examples: ["bootstrapper device"],
  keeps: "all",
  isHidden: true,
  read: () => undefined,
  async action() {
    await (await import("../programs/device.ts")).device();
  },
};
