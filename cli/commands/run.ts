/**
 * `bootstrapper run`: makes this machine a member of its cluster.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { optionalText, withConfig } from "../options.ts";
import type { RunOptions } from "../programs/run.ts";
import type { RunMachine } from "../run_machine.ts";

/** Bootstraps this node; ends when the node is a member of its cluster. */
export const run: CliCommand<RunOptions, RunMachine> = {
  name: "run",
  group: "On a node:",
  description: "bootstrap this node into its cluster, then exit",
  examples: ["bootstrapper run"],
  runsUntilStopped: true,
  needsRoot: true,
  keeps: ["env", "net", "read", "run", "sys", "write"],
  declare(command) {
    withConfig(command);
  },
  read: (parsed) => present("config", optionalText(parsed, "config")),
  async open(_options, context) {
    return await (await import("../run_machine.ts")).openRunMachine(context);
  },
  async action(options, context, machine) {
    await (await import("../programs/run.ts")).run(options, context, machine);
  },
};
