/**
 * `bootstrapper node reattest`: ends the node certificates of today, by raising the epoch: when nodes have
 * newer ones, or at once.
 *
 * @module
 */
import type { CliCommand } from "../command.ts";
import { isSet, outputForm, requiredText } from "../options.ts";
import type { NodeReattestOptions } from "../programs/node_reattest.ts";

/** Has all nodes attest again. */
export const nodeReattest: CliCommand<NodeReattestOptions> = {
  name: "node reattest",
  group: "For operators:",
  description: "have all nodes attest again: end the certificates of today",
  examples: ["bootstrapper node reattest --kubeconfig demo.kubeconfig"],
  keeps: ["env", "net", "read"],
  declare(command) {
    command.requiredOption("--kubeconfig <file>", "the operator's kubeconfig")
      .option("--at-once", "cut off every node until it has attested again")
      .option("--yes", "do not ask for confirmation");
  },
  read: (parsed) => ({
    kubeconfigFile: requiredText(parsed, "kubeconfig"),
    ...{ atOnce: isSet(parsed, "atOnce"), yes: isSet(parsed, "yes"), output: outputForm(parsed) },
  }),
  async action(options, context) {
    await (await import("../programs/node_reattest.ts")).nodeReattest(options, context);
  },
};
