/**
 * `bootstrapper node reattest`: ends today's node certificates, by raising the epoch: when nodes have newer ones, or at
 * once.
 *
 * @module
 */
import type { CliCommand } from "../command.ts";
import { isSet, outputForm, requiredText } from "../options.ts";
import type { NodeReattestOptions } from "../programs/node_reattest.ts";

/** Makes all nodes attest again. */
export const nodeReattest: CliCommand<NodeReattestOptions> = {
  name: "node reattest",
  group: "For operators:",
  description: "make every node prove itself again, and stop accepting today's certificates",
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
