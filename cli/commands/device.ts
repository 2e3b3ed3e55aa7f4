/**
 * `bootstrapper device`: the process that keeps the permission to open a confidential VM's devices. Only the program
 * itself calls it.
 *
 * @module
 */
import type { CliCommand } from "../command.ts";
import { DEVICE_COMMAND } from "../device_process.ts";

/**
 * Serves reports and registers until its input ends. The help does not list it. It needs no check of its caller, who
 * can open the devices anyway.
 */
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
