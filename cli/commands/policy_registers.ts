/**
 * `bootstrapper policy registers`: prints the register values that machines with a configuration must show.
 *
 * @module
 */
import type { CliCommand } from "../command.ts";
import { outputForm, requiredText } from "../options.ts";
import type { PolicyRegistersOptions } from "../programs/policy_registers.ts";

/** Prints the register values that machines with a configuration must show. */
export const policyRegisters: CliCommand<PolicyRegistersOptions> = {
  name: "policy registers",
  group: "For operators:",
  description: "print PCR 12, HOST_DATA and MRCONFIGID for a configuration",
  examples: ["bootstrapper policy registers --config node.yaml"],
  keeps: ["env", "read"],
  declare(command) {
    command.requiredOption("--config <file>", "the node's configuration");
  },
  read: (parsed) => ({ configurationFile: requiredText(parsed, "config"), output: outputForm(parsed) }),
  async action(options, context) {
    await (await import("../programs/policy_registers.ts")).policyRegisters(options, context);
  },
};
