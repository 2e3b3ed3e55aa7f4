/**
 * A machine that kubeadm made a node, as the commands of an adoption see it.
 *
 * @module
 */
import { join } from "node:path";
import type { MachineEvidence } from "../../attestation/evidence.ts";
import { nodeNameOf } from "../../certificate/subjects.ts";
import { readPem } from "../../certificate/pem.ts";
import { readCertificate } from "../../certificate/x509.ts";
import type { Journal } from "../../journal/journal.ts";
import type { Sequence } from "../../journal/sequence.ts";
import { findAdoption } from "../../kubernetes/adoption_store.ts";
import { KubeadmPhases } from "../../kubernetes/kubeadm_phases.ts";
import { kubeletKubeconfigPath } from "../../kubernetes/kubelet_credentials.ts";
import { readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import { findPolicyDocument } from "../../kubernetes/policy_config_map.ts";
import type { AdoptedControlPlane } from "../../node/adopted_control_plane.ts";
import { waitForOwnApi, withOwnApi } from "../../node/adopted_control_plane.ts";
import { checkPresentNode, notAdoptable } from "../../node/adopted_worker.ts";
import { runAdoptionSteps } from "../../node/adoption_journal.ts";
import { readClusterCa } from "../../node/cluster_ca.ts";
import type { NodeConfiguration } from "../../node/configuration.ts";
import { isInsecure } from "../../node/configuration.ts";
import { loadNodeConfiguration } from "../../node/configuration_source.ts";
import { ownSelf } from "../../node/own_self.ts";
import { hex, utf8 } from "../../platform/bytes.ts";
import { secondsText } from "../../platform/duration.ts";
import { BootstrapError, hasCode, sentenceOf } from "../../platform/errors.ts";
import { exists } from "../../platform/files.ts";
import { errorFields } from "../../platform/log.ts";
import { present } from "../../platform/present.ts";
import type { Founding } from "../../proto/gen/bootstrapper.ts";
import { checkFounding } from "../../protocol/founding.ts";
import { readFoundingFile } from "../../protocol/founding_file.ts";
import type { NodeSelf } from "../../protocol/node_self.ts";
import type { ClusterTrust } from "../../protocol/transcript.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { kindsOf } from "../kinds.ts";
import type { Machine } from "../machine.ts";
import { evidenceOf } from "../machine_evidence.ts";
import { printable } from "../output.ts";

/** The options that the commands of an adoption on a machine share. */
export interface AdoptedMachineOptions {
  /** The file of the node's configuration. */
  readonly config?: string;
  /** Whether to skip the confirmation. */
  readonly yes: boolean;
  readonly output: OutputForm;
}

/** This machine, a node that kubeadm made. */
export interface AdoptedMachine extends MachineEvidence {
  readonly configuration: NodeConfiguration;
  readonly self: NodeSelf;
  /** 32 bytes. */
  readonly clusterId: Uint8Array;
}

/**
 * Looks at this machine: its configuration, its name, and whether it is a node of the configured cluster and role.
 *
 * @throws {BootstrapError} `precondition/adoption`; the errors of the configuration.
 */
export async function lookHere(
  { config }: Pick<AdoptedMachineOptions, "config">,
  context: CliContext,
  machine: Machine,
): Promise<AdoptedMachine> {
  const { paths, environment: { credentialsFolder } } = context;
  const { configuration } = await loadNodeConfiguration({
    ...present("file", config),
    ...present("credentialsFolder", credentialsFolder),
    firmware: machine.firmware,
    paths,
    kinds: kindsOf(context),
  });
  const { trust: { clusterId }, evidence } = configuration;
  if (clusterId.length === 0) {
    throw notAdoptable("cluster-id", "The machine's configuration names no cluster ID", "trust.clusterId", "nothing");
  }
  await checkPresentNode(paths, clusterId);
  const configured = await ownSelf({ configuration, machine: machine.facts, paths });
  const isControlPlane = await exists(join(paths.kubernetes, "manifests", "kube-apiserver.yaml"));
  const role = isControlPlane ? "control-plane" : "worker";
  // A configuration whose evidence proves nothing cannot say that the machine is a control plane.
  if (configured.role !== role && !(isControlPlane && isInsecure(evidence))) {
    throw notAdoptable(
      "role",
      `This machine is a ${role}, and node.role of its configuration says otherwise`,
      role,
      configured.role,
    );
  }
  const self = { ...configured, role } as const;
  await checkNodeName(context, self);
  return { configuration, self, clusterId, ...await evidenceOf(machine, evidence, context) };
}

async function checkNodeName({ paths }: CliContext, { name }: NodeSelf): Promise<void> {
  const path = kubeletKubeconfigPath(paths);
  const { certificatePem } = await readKubeconfig(path);
  // The kubelet's own file has its certificate first.
  const [block = ""] = /^-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/.exec(certificatePem) ?? [];
  const certificate = readCertificate(readPem(block, "CERTIFICATE", path), path);
  const seen = nodeNameOf(certificate.subject.attributes) ?? "nothing";
  if (seen === name) return;
  throw notAdoptable("node-name", "The kubelet has another name than the configuration says", seen, name);
}

/** What the control plane knows of its cluster, for {@linkcode AdoptedControlPlane}. */
export type ClusterHere = Pick<AdoptedControlPlane, "ca" | "adoption" | "foundings" | "policyDocument">;

/**
 * Reads the cluster's CA from this machine, and the adoption from its API server. The founding must be by an operator
 * of this machine's configuration.
 *
 * @throws {BootstrapError} `precondition/adoption`, `precondition/ca-key`, `refused/founding-…`, `refused/signature`;
 *   the errors of the files and of `KubernetesApi`.
 */
export async function clusterHere(
  { configuration: { trust }, self, clusterId }: AdoptedMachine,
  { paths, clock }: Pick<CliContext, "paths" | "clock">,
  signal: AbortSignal,
): Promise<ClusterHere> {
  const ca = await readClusterCa(paths);
  await waitForOwnApi({ paths, self, signal, clock });
  return await withOwnApi({ paths, self, signal }, async (api) => {
    const adoption = await findAdoption(api);
    const policyDocument = await findPolicyDocument(api);
    if (adoption === undefined || policyDocument === undefined) {
      const what = adoption === undefined ? "adoption" : "policy";
      throw notAdoptable(
        what,
        `The cluster has no ${what}: run \`bootstrapper adopt cluster\` first`,
        "one",
        "nothing",
      );
    }
    const foundings = await ownFoundings(adoption.foundings, { ...trust, clusterId }, clusterId);
    return { ca, adoption, policyDocument, foundings };
  });
}

/** Those of this machine's operators; at least one must be. */
async function ownFoundings(
  texts: readonly string[],
  trust: ClusterTrust,
  clusterId: Uint8Array,
): Promise<readonly Founding[]> {
  const own: Founding[] = [];
  let foreign: unknown;
  for (const text of texts) {
    const founding = readFoundingFile(utf8(text), "the founding of the adoption");
    try {
      await checkFounding(founding, trust, clusterId);
      own.push(founding);
    } catch (error) {
      if (!hasCode(error, "refused/founding-operator")) throw error;
      foreign = error;
    }
  }
  if (own.length > 0) return own;
  throw foreign ?? notAdoptable("founding", "The cluster's adoption has no founding", "one", "nothing");
}

/** Shows what is to be done, and asks. */
export async function confirmed(
  { yes, output }: AdoptedMachineOptions,
  { printError, terminal }: Pick<CliContext, "printError" | "terminal">,
  text: string,
): Promise<void> {
  if (output === "text" || !yes) printError(`${text}\n`);
  if (yes || await terminal.confirm("Go on?")) return;
  throw new BootstrapError("aborted/prompt", "Nothing was adopted, as the answer was no", {
    next: "Nothing was changed",
  });
}

/** kubeadm's phases on this machine. */
export function kubeadmOf({ commands, paths }: Pick<CliContext, "commands" | "paths">): KubeadmPhases {
  return new KubeadmPhases({
    ...{ commands, privateFolder: paths.run },
    ...{ kubernetesFolder: paths.kubernetes, kubeletFolder: paths.kubelet },
  });
}

/** A list for people. */
export function listText(lines: readonly string[]): string {
  return lines.map((line) => `  - ${line}`).join("\n");
}

/** Runs the steps that are not done yet, and prints each. */
export async function runSteps<C>(
  { output }: Pick<AdoptedMachineOptions, "output">,
  context: CliContext,
  { self: { name: nodeName, role }, clusterId }: AdoptedMachine,
  signal: AbortSignal,
  sequence: Sequence<C>,
  input: (journal: Journal) => C,
): Promise<void> {
  const { clock, log, paths } = context;
  const say = (line: string) => output === "text" ? context.print(line) : undefined;
  await runAdoptionSteps({
    ...{ stateFolder: paths.state, sequence, context: input, clock, signal },
    head: { owner: "join", role, nodeName, clusterId: hex(clusterId) },
    recorder: {
      phase: async (name, work) => {
        const startMs = clock.monotonicMs();
        const result = await work();
        say(`${name}: done (${secondsText(clock.monotonicMs() - startMs)} s)\n`);
        return result;
      },
    },
    onWaiting: (wait) => {
      if (wait === undefined) return;
      const { step, error, failures, pauseMs } = wait;
      log.event("warn", "adoption-step-not-done", { ...errorFields(error), step, failures, pauseMs });
      say(`${step}: ${printable(sentenceOf(error))}; next try in ${secondsText(pauseMs)} s\n`);
    },
  });
}
