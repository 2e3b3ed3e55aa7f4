/**
 * `bootstrapper measure`: makes the measurements at the start of every boot.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import type { Machine } from "../machine.ts";
import { optionalText, outputForm, withConfig } from "../options.ts";
import type { MeasureOptions } from "../programs/measure.ts";

/** Measures the configuration and the lock. */
export const measure: CliCommand<MeasureOptions, Machine> = {
  name: "measure",
  group: "On a node:",
  description: "measure the configuration and the node lock into the TPM",
  examples: ["bootstrapper measure"],
  keeps: ["env", "read", "write"],
  declare(command) {
    withConfig(command);
  },
  read: (parsed) => ({ ...present("config", optionalText(parsed, "config")), output: outputForm(parsed) }),
  async open(_options, context) {
    return await (await import("../machine.ts")).openMachine(context);
  },
  async action(options, context, machine) {
    await (await import("../programs/measure.ts")).measure(options, context, machine);
  },
};
