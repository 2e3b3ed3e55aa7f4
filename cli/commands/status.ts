/**
 * `bootstrapper status`: shows the state of this node, and what it waits for.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { isSet, outputForm } from "../options.ts";
import type { StatusOptions, ThisMachine } from "../programs/status.ts";

/** Shows the state of this node, and what it waits for. */
export const status: CliCommand<StatusOptions, ThisMachine> = {
  name: "status",
  group: "On a node:",
  description: "show the state of this node, and what it waits for",
  examples: ["bootstrapper status"],
  keeps: ["read"],
  declare(command) {
    command.option("--svg", "print only the timeline, as an SVG image");
  },
  read: (parsed) => ({ output: outputForm(parsed), isSvg: isSet(parsed, "svg") }),
  // Deno needs all permissions to read what the firmware and the kernel say.
  async open(_options, { paths: { root } }) {
    const { readBootId, readMachineId } = await import("../../node/machine_id.ts");
    return { ...present("machineId", await readMachineId(root)), ...present("bootId", await readBootId(root)) };
  },
  async action(options, context, machine) {
    await (await import("../programs/status.ts")).status(options, context, machine);
  },
};
