/**
 * `bootstrapper node remove`: removes a node from the cluster, and frees its name.
 *
 * @module
 */
import { KubernetesApi } from "../../kubernetes/api.ts";
import { readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import type { NamedNode } from "../../kubernetes/named_node.ts";
import { findNamedNode } from "../../kubernetes/named_node.ts";
import { nodeRemovalSteps } from "../../kubernetes/node_removal.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { printable, printResult } from "../output.ts";
import { terminationSignal } from "../termination.ts";

/** The options of `node remove`. */
export interface NodeRemoveOptions {
  /** The Node's name, an RFC 1123 subdomain. */
  readonly nodeName: string;
  readonly kubeconfigFile: string;
  /** How long to wait for a join service, in milliseconds. */
  readonly waitMs: number;
  /** Whether to skip the confirmation. */
  readonly yes: boolean;
  /** Whether to remove the Node even if it is Ready. */
  readonly force: boolean;
  /** Whether the machine may be admitted again. */
  readonly mayReturn: boolean;
  readonly output: OutputForm;
}

/** Removes a node from the cluster, after confirmation. */
export async function nodeRemove(options: NodeRemoveOptions, context: CliContext): Promise<void> {
  const { nodeName, output, mayReturn } = options;
  const isText = output === "text";
  using termination = terminationSignal();
  using api = new KubernetesApi(await readKubeconfig(options.kubeconfigFile));
  const node = await findNamedNode(api, nodeName);
  if (node.isReady && !options.force) throw stillReady(nodeName);
  const { clock } = context;
  const steps = nodeRemovalSteps(node, {
    ...{ api, clock, deadlineMs: options.waitMs, mayReturn },
    signal: termination.signal,
  });
  if (isText || !options.yes) {
    context.printError(
      [planText(node), ...steps.map(({ title }, index) => `${number(index)} ${title}`), ""].join("\n"),
    );
  }
  if (!options.yes && !await context.terminal.confirm("Go on?")) {
    throw new BootstrapError("aborted/prompt", "The node was not removed, as the answer was no", {
      next: "Nothing was changed",
    });
  }
  const outcomes: Record<string, string> = {};
  for (const [index, { name, title, run }] of steps.entries()) {
    if (isText) context.print(`${number(index)} ${title} … `);
    const startMs = clock.monotonicMs();
    try {
      outcomes[name] = await run();
    } catch (error) {
      if (isText) context.print("failed\n");
      throw termination.signal.aborted ? stopped(nodeName) : error;
    }
    if (isText) context.print(`${outcomes[name]} (${((clock.monotonicMs() - startMs) / 1000).toFixed(1)} s)\n`);
  }
  const { role, identity } = node;
  const advice = adviceFor(node, mayReturn);
  const result = { state: "removed", nodeName, role, identity, mayReturn, steps: outcomes, advice };
  printResult(context, output, result, [`${nodeName} is removed; the name is free.`, ...advice, ""].join("\n"));
}

/** What remains to be done, as sentences. */
function adviceFor({ role, identity }: NamedNode, mayReturn: boolean): string[] {
  return [
    "Each API server refuses the machine's certificates within seconds. Watches that are open end with their timeout.",
    "Its serving certificate is valid until it ends: if the machine was taken over, give no other node its address before.",
    ...(role === "control-plane"
      ? ["A control plane has the key of the cluster's CA: if it was taken over, only a new cluster shuts it out."]
      : []),
    ...(mayReturn || identity === ""
      ? []
      : [`The machine is not admitted again, until you run \`kubectl delete nodeadmission ${identity}\`.`]),
  ];
}

function planText({ nodeName, role, identity, isReady, isBeingRemoved }: NamedNode): string {
  const who = identity === "" ? "never admitted" : `identity ${printable(identity)}`;
  const begun = isBeingRemoved ? " An earlier removal continues." : "";
  const ready = isReady ? " Its Node is Ready." : "";
  return `This removes the ${role} ${nodeName} (${who}) from the cluster for good.${ready}${begun}`;
}

function number(index: number): string {
  return `${index + 1}.`.padStart(4);
}

function stillReady(nodeName: string): BootstrapError {
  return new BootstrapError("precondition/node-ready", `The Node ${nodeName} is Ready, so its machine still runs`, {
    next:
      `Power it off or run \`bootstrapper reset\` on it, and wait a minute; with --force it is removed even if it is Ready`,
    details: { node: nodeName },
  });
}

function stopped(nodeName: string): BootstrapError {
  return new BootstrapError("aborted/removal", `The removal of ${nodeName} was stopped before its end`, {
    next: "Run the command again: it continues",
  });
}
