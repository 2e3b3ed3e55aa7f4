/**
 * `bootstrapper measure`: makes the measurements at the start of every boot.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import type { Machine } from "../machine.ts";
import type { Measuring } from "../measuring.ts";
import { optionalText, outputForm, withConfig } from "../options.ts";
import type { MeasureOptions } from "../programs/measure.ts";

/** The machine to measure into, and the tries so far. */
export interface MeasuredMachine {
  readonly machine: Machine;
  readonly measuring: Measuring;
}

/** Measures the configuration and the lock. */
export const measure: CliCommand<MeasureOptions, MeasuredMachine> = {
  name: "measure",
  group: "On a node:",
  description: "measure the configuration and the node lock into the TPM",
  examples: ["bootstrapper measure"],
  needsRoot: true,
  keeps: ["env", "read", "write"],
  declare(command) {
    withConfig(command);
  },
  read: (parsed) => ({ ...present("config", optionalText(parsed, "config")), output: outputForm(parsed) }),
  async open(_options, context) {
    const { openMachine } = await import("../machine.ts");
    const { readBootId } = await import("../../node/machine_id.ts");
    const { Measuring } = await import("../measuring.ts");
    const measuring = new Measuring(context, await readBootId(context.paths.root));
    return { machine: await measuring.opened(() => openMachine(context)), measuring };
  },
  async action(options, context, { machine, measuring }) {
    const { measure } = await import("../programs/measure.ts");
    await measuring.measured(() => measure(options, context, machine));
    await measuring.done();
  },
};
