/**
 * `bootstrapper node remove`: an operator takes a node out of the cluster, so that its name is free.
 *
 * @module
 */
import type { Command } from "commander";
import { isLabel } from "../../platform/label.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { readDuration } from "../duration.ts";
import { isSet, outputForm, requiredText, withOutput } from "../options.ts";
import { dropPermissions } from "../permissions.ts";

/** The options of `node remove`. */
export interface NodeRemoveOptions {
  /** The Node's name, an RFC 1123 label. */
  readonly nodeName: string;
  /** The operator's kubeconfig. */
  readonly kubeconfigFile: string;
  /** How long a join service may take to answer, in milliseconds. */
  readonly waitMs: number;
  /** Whether nobody is asked. */
  readonly yes: boolean;
  /** Whether a Node that is Ready is removed as well. */
  readonly force: boolean;
  /** How to print. */
  readonly output: OutputForm;
}

/** Removes a node from the cluster, after a question. */
export type NodeRemoveHandler = (options: NodeRemoveOptions, context: CliContext) => Promise<void>;

const DEFAULT_WAIT = "2m";

/**
 * Declares `node` with `remove`.
 *
 * @internal
 */
export function declareNodeRemove(program: Command, context: CliContext, handler: NodeRemoveHandler): void {
  const node = program.command("node").helpCommand(false)
    .description("node remove NAME: take a node out of the cluster, and free its name");
  withOutput(
    node.command("remove").argument("<name>", "the Node's name")
      .description("take a node out of the cluster (etcd, Node, admission), and free its name")
      .requiredOption("--kubeconfig <file>", "the operator's kubeconfig")
      .option("--wait <duration>", `for a join service to answer (default: ${DEFAULT_WAIT})`, DEFAULT_WAIT)
      .option("--yes", "do not ask")
      .option("--force", "even if the Node is Ready"),
  ).action(async (nodeName: string, _options: unknown, command: Command) => {
    if (!isLabel(nodeName)) {
      throw new BootstrapError("usage/node-name", `Cannot use ${JSON.stringify(nodeName)} as it is no name of a Node`, {
        next: "Give the name as `kubectl get nodes` shows it",
      });
    }
    const options = {
      nodeName,
      kubeconfigFile: requiredText(command, "kubeconfig"),
      waitMs: readDuration(requiredText(command, "wait"), "--wait"),
      ...{ yes: isSet(command, "yes"), force: isSet(command, "force"), output: outputForm(command) },
    };
    await dropPermissions("node", context.permissions);
    await handler(options, context);
  });
}
