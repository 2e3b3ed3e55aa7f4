/**
 * `bootstrapper adopt node`: says which machine a node of an adopted cluster is.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import { isNodeName, shown } from "../../platform/label.ts";
import type { CliCommand } from "../command.ts";
import { firstArgument, outputForm, requiredText } from "../options.ts";
import type { AdoptNodeOptions } from "../programs/adopt_node.ts";

const IDENTITY = /^[0-9a-fA-F]{64}$/;

/** Names the only machine that may take over the name of an adopted node. */
export const adoptNode: CliCommand<AdoptNodeOptions> = {
  name: "adopt node",
  group: "For operators:",
  description: "say which machine a node of an adopted cluster is",
  notes: "Only that machine may take the node's name, after it has proven itself.\n" +
    "`bootstrapper adopt here --plan` on the machine shows its identity.",
  examples: [
    "bootstrapper adopt node worker-1 --kubeconfig admin.conf \\\n" +
    "  --identity 5f1d7a84db00d2fce00b31a7fc73224f0a2df8b5a6a9b8e0d0b7c0a9e4c8d2f1",
  ],
  keeps: ["env", "net", "read"],
  declare(command) {
    command.argument("<name>", "the Node's name")
      .requiredOption("--identity <hex>", "the machine's identity")
      .requiredOption("--kubeconfig <file>", "the operator's kubeconfig");
  },
  read: (parsed) => ({
    nodeName: nameOf(firstArgument(parsed)),
    identity: identityOf(requiredText(parsed, "identity")),
    kubeconfigFile: requiredText(parsed, "kubeconfig"),
    output: outputForm(parsed),
  }),
  async action(options, context) {
    await (await import("../programs/adopt_node.ts")).adoptNode(options, context);
  },
};

function nameOf(text: string): string {
  if (isNodeName(text)) return text;
  throw new BootstrapError("usage/node-name", `Cannot use ${shown(text)} as it is not a Node's name`, {
    next: "Give the name as `kubectl get nodes` shows it",
  });
}

function identityOf(text: string): string {
  if (IDENTITY.test(text)) return text.toLowerCase();
  throw new BootstrapError("usage/identity", `Cannot use --identity ${shown(text)}: it must be 64 hexadecimal digits`, {
    next: "Give the identity as `bootstrapper adopt here --plan` shows it on the machine",
  });
}
