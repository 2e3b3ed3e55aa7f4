/**
 * `bootstrapper adopt here`: what root does on a node that kubeadm made, after the operator has adopted its cluster.
 *
 * @module
 */
import { clusterIdText } from "../../certificate/cluster_id.ts";
import { ADOPTION_SEQUENCE } from "../../node/adopted_control_plane.ts";
import { recordAdoption } from "../../node/adopted_worker.ts";
import { machineIdentity } from "../../node/machine_identity.ts";
import { keepSelf } from "../../node/own_self.ts";
import { takeRunLock } from "../../nodelock/run_lock.ts";
import { runOrThrow } from "../../platform/command.ts";
import { present } from "../../platform/present.ts";
import type { CliContext } from "../context.ts";
import type { Machine } from "../machine.ts";
import { printable, printResult } from "../output.ts";
import { terminationSignal } from "../termination.ts";
import type { AdoptedMachineOptions } from "./adopted_machine.ts";
import { clusterHere, confirmed, kubeadmOf, listText, lookHere, runSteps } from "./adopted_machine.ts";

/** The options of `adopt here`. */
export interface AdoptHereOptions extends AdoptedMachineOptions {
  /** Whether to change nothing. */
  readonly onlyPlan: boolean;
}

const SYSTEMCTL_DEADLINE_MS = 120_000;
const WORKER_STEPS = [
  "record that this machine stays in its place",
  "start bootstrapper.service, which shows its evidence to a join service, takes the node lock, gives the kubelet the " +
  "certificates of its ticket, and starts it again",
] as const;

/**
 * Adopts this machine.
 *
 * @throws {BootstrapError} `precondition/adoption` if it cannot be adopted as it is; `aborted/prompt`; the errors of the
 *   configuration, of the steps and of `KubernetesApi`.
 */
export async function adoptHere(options: AdoptHereOptions, context: CliContext, machine: Machine): Promise<void> {
  const here = await lookHere(options, context, machine);
  const { self, clusterId, issuer, configuration } = here;
  const { paths } = context;
  using termination = terminationSignal();
  const cluster = self.role === "control-plane" ? await clusterHere(here, context, termination.signal) : undefined;
  const identity = await machineIdentity(issuer, paths.state);
  const steps = self.role === "control-plane" ? Object.keys(ADOPTION_SEQUENCE) : WORKER_STEPS;
  const shown = {
    ...{ clusterName: configuration.trust.clusterName, clusterId: clusterIdText(clusterId) },
    ...{ nodeName: self.name, role: self.role, address: self.address, identity, steps },
  };
  const text = planText(shown);
  if (options.onlyPlan) return printResult(context, options.output, { state: "plan", ...shown }, text);
  await confirmed(options, context, text);
  if (cluster === undefined) return await adoptWorker(options, context, shown);
  using _runLock = await takeRunLock(paths.state);
  await keepSelf(paths, self);
  const { trust } = configuration;
  const { commands, clock } = context;
  const { signal } = termination;
  await runSteps(options, context, here, signal, ADOPTION_SEQUENCE, (journal) => ({
    ...{ paths, self, trust, identity, commands, clock, journal, signal, ...cluster },
    isOfHardware: issuer.identityIsKey !== true && issuer.identityIsOfBoot !== true,
    kubeadm: kubeadmOf(context),
    ...present("registers", here.registers),
    ...present("machineId", machine.machineId),
  }));
  const end = `${self.name} is adopted: its join service runs.\n` +
    "Next: the same on the other control planes, then `bootstrapper adopt node` for each worker.";
  printResult(context, options.output, { state: "adopted", ...shown }, end);
}

/** What is shown of this machine. */
interface ShownMachine {
  readonly clusterName: string;
  readonly clusterId: string;
  readonly nodeName: string;
  readonly role: string;
  readonly address: string;
  readonly identity: string;
  readonly steps: readonly string[];
}

/** The unit goes the usual way of a join, with all its waits and its status. */
async function adoptWorker(
  { output }: AdoptHereOptions,
  { paths, commands, ...context }: CliContext,
  shown: ShownMachine & Record<string, unknown>,
): Promise<void> {
  await recordAdoption(paths.state);
  await runOrThrow(commands, ["systemctl", "start", "--no-block", "bootstrapper.service"], {
    deadlineMs: SYSTEMCTL_DEADLINE_MS,
  });
  const end = `${shown.nodeName} proves itself now.\n` +
    `If the join service refuses its name, run \`bootstrapper adopt node ${shown.nodeName} --identity ${shown.identity}\`.\n` +
    "Next: `bootstrapper status` shows how far it is.";
  printResult(context, output, { state: "started", ...shown }, end);
}

function planText({ clusterName, clusterId, nodeName, role, address, identity, steps }: ShownMachine): string {
  return [
    `This adopts the ${role} ${printable(nodeName)} of the cluster ${clusterName}:`,
    `  cluster ID  ${clusterId}`,
    `  address     ${address}`,
    `  identity    ${identity}`,
    "Steps:",
    listText(steps),
  ].join("\n");
}
