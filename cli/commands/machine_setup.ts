/**
 * `bootstrapper machine setup`: says what this machine lacks before `bootstrapper run` accepts it.
 *
 * @module
 */
import type { SetupFinding } from "../../node/machine_setup_finding.ts";
import type { CliCommand } from "../command.ts";
import { outputForm } from "../options.ts";
import type { MachineSetupOptions } from "../programs/machine_setup.ts";

/** Says what this machine lacks. */
export const machineSetup: CliCommand<MachineSetupOptions, readonly SetupFinding[]> = {
  name: "machine setup",
  group: "On a node:",
  description: "say what this machine lacks, and what mends it",
  notes: "It changes nothing. The exit code is 1 if something is missing.",
  examples: ["bootstrapper machine setup", "bootstrapper machine setup --output json"],
  keeps: [],
  read: (parsed) => ({ output: outputForm(parsed) }),
  // Deno needs all permissions to read what the kernel says.
  async open(_options, { paths: { root }, commands }) {
    return await (await import("../../node/machine_setup.ts")).findMissing({ root, commands });
  },
  async action(options, context, findings) {
    (await import("../programs/machine_setup.ts")).machineSetup(options, context, findings);
  },
};
