/**
 * `bootstrapper adopt cluster`: shows what an adoption does, asks, and does the operator's part of it.
 *
 * @module
 */
import { isInsecure, readPolicy } from "../../attestation/policy/policy.ts";
import { policyRemarks } from "../../attestation/policy/policy_remarks.ts";
import { readClusterId } from "../../certificate/cluster_id.ts";
import { KubernetesApi } from "../../kubernetes/api.ts";
import { surveyCluster } from "../../kubernetes/cluster_survey.ts";
import { readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import { JOIN_SERVICE_PORT } from "../../node/join_service_install.ts";
import type { AdoptionPlan } from "../../operator/adoption.ts";
import { adoptCluster as adopt, checkAdoptable, planAdoption } from "../../operator/adoption.ts";
import { documentText, MAXIMUM_DOCUMENT_BYTES } from "../../platform/document.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { readFile } from "../../platform/files.ts";
import { present } from "../../platform/present.ts";
import { foundingFileText } from "../../protocol/founding_file.ts";
import { checkClaims, clusterNetwork } from "../../service/claims_check.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { INSECURE } from "../insecure.ts";
import { kindsOf } from "../kinds.ts";
import { printable, printResult } from "../output.ts";
import { terminationSignal } from "../termination.ts";
import { foundStanding } from "./node_founding.ts";

/** The options of `adopt cluster`. */
export interface AdoptClusterOptions {
  /** An administrator's kubeconfig. */
  readonly kubeconfigFile: string;
  readonly clusterName: string;
  readonly policyFile: string;
  /** The file of the operator's private key. */
  readonly keyFile: string;
  /** The file with the key's passphrase. */
  readonly passphraseFile?: string;
  /** Whether to change nothing. */
  readonly onlyPlan: boolean;
  /** Whether to skip the confirmation. */
  readonly yes: boolean;
  /** The folder of the operator's cluster records. */
  readonly recordsFolder: string;
  readonly output: OutputForm;
}

const KINDS_DEADLINE_MS = 60_000;

/**
 * Plans the adoption, and does the operator's part of it.
 *
 * @throws {BootstrapError} `precondition/adoption` with all problems; `precondition/cluster-exists` if the records have
 *   another cluster of that name; `aborted/prompt`; the errors of the files and of `KubernetesApi`.
 */
export async function adoptCluster(options: AdoptClusterOptions, context: CliContext): Promise<void> {
  const { clusterName, policyFile, kubeconfigFile, output } = options;
  const policyDocument = documentText(await readFile(policyFile, MAXIMUM_DOCUMENT_BYTES), policyFile);
  const policy = readPolicy(policyDocument, policyFile, kindsOf(context));
  const credentials = await readKubeconfig(kubeconfigFile);
  using termination = terminationSignal();
  using api = new KubernetesApi(credentials, { signal: termination.signal });
  const survey = await surveyCluster(api, credentials.caPem);
  const plan = await planAdoption(api, survey, {
    clusterName,
    joinServicePort: JOIN_SERVICE_PORT,
    claimsOf: (endpoint, document) => ({ name: nodeName, ...node }) =>
      checkClaims({ ...node, nodeName }, clusterNetwork([endpoint], document)),
  });
  const remarks = [...(isInsecure(policy) ? [INSECURE] : []), ...policyRemarks(policy)];
  checkAdoptable(plan);
  if (options.onlyPlan) {
    const { clusterDocument: _, problems: __, ...shown } = plan;
    return printResult(context, output, { state: "plan", ...shown, ...STEPS, remarks }, planText(plan, remarks));
  }
  if (output === "text" || !options.yes) context.printError(planText(plan, remarks));
  if (!options.yes && !await context.terminal.confirm("Go on?")) {
    throw new BootstrapError("aborted/prompt", "The cluster was not adopted, as the answer was no", {
      next: "Nothing was changed",
    });
  }
  const founding = await foundStanding({
    ...{ clusterName, keyFile: options.keyFile, recordsFolder: options.recordsFolder },
    clusterId: readClusterId(plan.clusterId, "the cluster's CA"),
    ...present("passphraseFile", options.passphraseFile),
  }, context);
  const adopted = await adopt({
    ...{ api, survey, policyDocument, founding: foundingFileText(founding) },
    ...{ clock: context.clock, signal: termination.signal, deadlineMs: KINDS_DEADLINE_MS },
  }, plan);
  const { clusterId, apiEndpoints, joinEndpoints } = plan;
  const result = { state: "adopted", clusterName, clusterId, apiEndpoints, joinEndpoints, adopted, next: NEXT };
  printResult(context, output, result, endText(plan, adopted));
}

/** What an adoption creates, what it changes later, and what stays until its end. */
const STEPS = {
  created: [
    "the kinds NodeAdmission and NodeEvidence, and the join services' rights",
    "the ConfigMap kube-system/bootstrapper-policy, if there is none",
    "the ConfigMap bootstrapper-system/adoption, with the operator's founding",
    "a record of each Node, not attested, which keeps its name and addresses for it",
  ],
  onControlPlanes: [
    "the API server's certificate gets the name 127.0.0.1 too, by kubeadm",
    "the kubelet gets certificates of the bootstrapper, and is started again; Pods go on",
    "the join service is installed and started",
    "the node lock is taken, and measured where there is a TPM",
  ],
  untilTheEnd: [
    "the controller manager signs kubelets' certificates as before, and bootstrap tokens work",
    "API servers do not ask for proven nodes, and cut none off",
  ],
} as const;

const NEXT = [
  "On each control plane, run `bootstrapper adopt here`",
  "For each worker, run `bootstrapper adopt node NAME --identity ID`, and on the machine `bootstrapper adopt here`",
  "When `bootstrapper nodes` shows no adopted node any more, run `bootstrapper adopt finish` on each control plane",
] as const;

function planText(plan: AdoptionPlan, remarks: readonly string[]): string {
  const list = (lines: readonly string[]) => lines.map((line) => `  - ${line}`);
  return [
    `This ${plan.isUnderWay ? "continues the adoption of" : "adopts"} the cluster ${plan.clusterName}:`,
    `  cluster ID     ${plan.clusterId}`,
    `  Kubernetes     ${printable(plan.version)}`,
    `  CA             ${plan.caKeyType}`,
    `  API server     ${plan.apiEndpoints.map((one) => printable(one)).join(", ")}`,
    `  join services  ${plan.joinEndpoints.map((one) => printable(one)).join(", ")}`,
    "Nodes:",
    ...list(
      plan.nodes.map(({ name, role, addresses, kubeletVersion, state }) =>
        printable(`${name}, ${role}, ${addresses.join(" ")}, ${kubeletVersion}: ${STATES[state]}`)
      ),
    ),
    "Now created in the cluster:",
    ...list(STEPS.created),
    "Changed on each control plane, when root runs `bootstrapper adopt here` there:",
    ...list(STEPS.onControlPlanes),
    "Unchanged until `bootstrapper adopt finish`:",
    ...list(STEPS.untilTheEnd),
    ...remarks.map((remark) => `Remark: ${printable(remark)}`),
    "A founding cannot be revoked: nodes of this name that obey this operator join this cluster from then on.",
    "",
  ].join("\n");
}

const STATES: Readonly<Record<AdoptionPlan["nodes"][number]["state"], string>> = {
  new: "gets a record, not attested",
  adopted: "has a record, not attested",
  admitted: "has a machine's record",
};

function endText({ clusterName, clusterId }: AdoptionPlan, adopted: readonly string[]): string {
  const count = adopted.length === 0 ? "no Node" : adopted.join(", ");
  return [
    `${clusterName} is adopted as ${clusterId}; new records: ${count}.`,
    ...NEXT.map((line) => `Next: ${line}.`),
    "",
  ]
    .join("\n");
}
