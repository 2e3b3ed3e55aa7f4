/**
 * `bootstrapper status`: shows the state of this node, and what it waits for.
 *
 * @module
 */
import type { CliCommand } from "../command.ts";
import { isSet, outputForm } from "../options.ts";
import type { StatusOptions } from "../programs/status.ts";

/** Shows the state of this node, and what it waits for. */
export const status: CliCommand<StatusOptions, string | undefined> = {
  name: "status",
  group: "On a node:",
  description: "show the state of this node, and what it waits for",
  examples: ["bootstrapper status"],
  keeps: ["read"],
  declare(command) {
    command.option("--svg", "print only the timeline, as an SVG image");
  },
  read: (parsed) => ({ output: outputForm(parsed), isSvg: isSet(parsed, "svg") }),
  // Deno needs all permissions to read what the firmware says.
  open: async (_options, { paths }) => await (await import("../../node/machine_id.ts")).readMachineId(paths.root),
  async action(options, context, machineId) {
    await (await import("../programs/status.ts")).status(options, context, machineId);
  },
};
