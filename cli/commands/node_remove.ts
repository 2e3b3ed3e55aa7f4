/**
 * `bootstrapper node remove`: removes a node from the cluster, and frees its name.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import { isNodeName } from "../../platform/label.ts";
import type { CliCommand } from "../command.ts";
import { readDuration } from "../duration.ts";
import { firstArgument, isSet, outputForm, requiredText } from "../options.ts";
import type { NodeRemoveOptions } from "../programs/node_remove.ts";

const DEFAULT_WAIT = "2m";

/** Removes a node from the cluster, after confirmation. */
export const nodeRemove: CliCommand<NodeRemoveOptions> = {
  name: "node remove",
  group: "For operators:",
  description: "cut a node off, remove it from the cluster, and free its name",
  examples: ["bootstrapper node remove worker-1 --kubeconfig demo.kubeconfig"],
  keeps: ["env", "net", "read"],
  declare(command) {
    command.argument("<name>", "the Node's name")
      .requiredOption("--kubeconfig <file>", "the operator's kubeconfig")
      .option("--wait <duration>", `how long to wait for a join service (default: ${DEFAULT_WAIT})`, DEFAULT_WAIT)
      .option("--yes", "do not ask for confirmation")
      .option("--force", "remove the node even if it is Ready")
      .option("--may-return", "let the machine be admitted again later");
  },
  read: (parsed) => ({
    nodeName: nodeNameArgument(firstArgument(parsed)),
    kubeconfigFile: requiredText(parsed, "kubeconfig"),
    waitMs: readDuration(requiredText(parsed, "wait"), "--wait"),
    ...{ yes: isSet(parsed, "yes"), force: isSet(parsed, "force"), mayReturn: isSet(parsed, "mayReturn") },
    output: outputForm(parsed),
  }),
  async action(options, context) {
    await (await import("../programs/node_remove.ts")).nodeRemove(options, context);
  },
};

function nodeNameArgument(text: string): string {
  if (isNodeName(text)) return text;
  throw new BootstrapError("usage/node-name", `Cannot use ${JSON.stringify(text)} as it is not a Node's name`, {
    next: "Give the name as `kubectl get nodes` shows it",
  });
}
