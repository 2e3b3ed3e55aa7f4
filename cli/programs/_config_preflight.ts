/**
 * Checks this machine for a cluster document, as an init does before it locks the node. Nothing is changed, no device is
 * opened, and no image is fetched.
 *
 * @module
 */
import { initDocuments } from "../../kubernetes/documents.ts";
import { nodeNetworkProblems } from "../../kubernetes/new_cluster.ts";
import type { ClusterSettings } from "../../kubernetes/settings.ts";
import type { NodeConfiguration } from "../../node/configuration.ts";
import type { MachineFacts } from "../../node/configuration_defaults.ts";
import { resolveNodeSelf } from "../../node/configuration_defaults.ts";
import { failedChecks, neededPorts, nodeChecks } from "../../node/preflight.ts";
import { asBootstrapError, BootstrapError } from "../../platform/errors.ts";
import type { NodeSelf } from "../../protocol/node_self.ts";
import type { CliContext } from "../context.ts";
import type { CheckedFile } from "../document_check.ts";
import { withKubeadm } from "./_config_kubeadm.ts";

const DEADLINE_MS = 10 * 60_000;
const JOIN_SERVICE_PORT = 9444;
/** The name in output of what no file is to blame for. */
const THIS_MACHINE = "this machine";

/** Adds what the machine's checks find: those of the cluster to its document, all others to the machine itself. */
export async function preflightFindings(
  files: readonly CheckedFile[],
  machine: MachineFacts,
  context: CliContext,
): Promise<readonly CheckedFile[]> {
  if (!context.isRoot) {
    throw new BootstrapError("precondition/root", "`bootstrapper config check --preflight` needs root on this machine");
  }
  const nodes = files.flatMap(({ document }) => document?.kind === "node" ? [document.configuration] : []);
  const clusters = files.filter(({ document }) => document?.kind === "cluster");
  const [configuration, ...otherNodes] = nodes;
  const [cluster, ...otherClusters] = clusters;
  if (otherNodes.length > 0 || otherClusters.length > 0 || (configuration ?? cluster) === undefined) {
    throw new BootstrapError(
      "usage/missing-argument",
      "Cannot check this machine without one valid configuration of the node, or one valid cluster document, or one of both",
      { next: "Name the files that this machine is to be used with" },
    );
  }
  const { self, reason } = selfOf(configuration, machine);
  const reasons = reason === undefined ? await machineReasons(self?.role ?? "control-plane", context) : [reason];
  const own = { file: THIS_MACHINE, title: THIS_MACHINE, problems: reasons.map(problem), remarks: [] };
  if (cluster?.document?.kind !== "cluster" || self === undefined) return [...files, own];
  const { settings } = cluster.document;
  const ofCluster = [...nodeNetworkProblems(settings, self), ...await kubeadmReasons(settings, self, context)];
  return [
    ...files.map((checked) =>
      checked === cluster ? { ...checked, problems: [...checked.problems, ...ofCluster.map(problem)] } : checked
    ),
    own,
  ];
}

function problem(message: string) {
  return { line: 1, key: "", message: `on this machine: ${message}` };
}

function selfOf(
  configuration: NodeConfiguration | undefined,
  machine: MachineFacts,
): { readonly self?: NodeSelf; readonly reason?: string } {
  try {
    return { self: resolveNodeSelf(configuration ?? { node: { role: "control-plane" } }, machine) };
  } catch (error) {
    return { reason: asBootstrapError(error).message };
  }
}

async function machineReasons(role: NodeSelf["role"], { paths, clock, commands }: CliContext): Promise<string[]> {
  const checks = nodeChecks({
    ...{ paths, clock, commands },
    unmeasured: [],
    allowUnmeasuredImage: true,
    ports: neededPorts(role, JOIN_SERVICE_PORT),
  });
  return (await failedChecks(checks)).map(({ check, reason }) => `${check}: ${reason}`);
}

async function kubeadmReasons(
  settings: ClusterSettings,
  node: NodeSelf,
  { commands }: Pick<CliContext, "commands">,
): Promise<string[]> {
  return await withKubeadm(commands, async (kubeadm) => {
    const documents = initDocuments(settings, { clusterName: "cluster", node });
    try {
      const failed = await kubeadm.preflight("init", documents, { deadlineMs: DEADLINE_MS });
      return failed.map(({ check, reason }) => `${check}: ${reason}`);
    } catch (error) {
      return [asBootstrapError(error).message];
    }
  });
}
