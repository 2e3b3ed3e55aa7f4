/**
 * `bootstrapper upgrade plan`: says what an upgrade of Kubernetes would do, and changes nothing.
 *
 * @module
 */
import type { Policy } from "../../attestation/policy/policy.ts";
import { imageRegisters, readPolicy, refusedRegisters } from "../../attestation/policy/policy.ts";
import { KubernetesApi } from "../../kubernetes/api.ts";
import { kubeadmVersion } from "../../kubernetes/kubeadm_version.ts";
import { readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import { NodeAdmissions } from "../../kubernetes/node_admissions.ts";
import { findPolicyDocument } from "../../kubernetes/policy_config_map.ts";
import { RELEASE } from "../../kubernetes/settings.ts";
import { planUpgrade } from "../../kubernetes/upgrade_plan.ts";
import { surveyUpgrade } from "../../kubernetes/upgrade_survey.ts";
import type { UpgradeFacts, UpgradePlan } from "../../kubernetes/upgrade_types.ts";
import { kubeletVersion } from "../../node/kubelet.ts";
import { documentText, MAXIMUM_DOCUMENT_BYTES } from "../../platform/document.ts";
import { asBootstrapError, BootstrapError } from "../../platform/errors.ts";
import { readFile } from "../../platform/files.ts";
import { shown } from "../../platform/label.ts";
import { present } from "../../platform/present.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { kindsOf } from "../kinds.ts";
import { printResult } from "../output.ts";

/** The options of `upgrade plan`. */
export interface UpgradePlanOptions {
  readonly kubeconfigFile: string;
  /** The version to upgrade to. Default: that of kubeadm on this machine. */
  readonly to?: string;
  /** A policy instead of the cluster's. */
  readonly policyFile?: string;
  readonly output: OutputForm;
}

/** The versions of Kubernetes' programs on this machine, as far as it has them. */
export interface ProgramsHere {
  readonly kubeadm?: string;
  readonly kubelet?: string;
}

/**
 * Asks this machine's programs for their versions.
 *
 * @throws {BootstrapError} `timeout/command`, `malformed/kubelet-version`, `malformed/kubernetes-version`.
 */
export async function programsHere({ commands }: Pick<CliContext, "commands">): Promise<ProgramsHere> {
  const kubeadm = await unlessMissing(() => kubeadmVersion(commands));
  const kubelet = await unlessMissing(() => kubeletVersion(commands));
  return { ...present("kubeadm", kubeadm), ...present("kubelet", kubelet) };
}

async function unlessMissing(ask: () => Promise<string>): Promise<string | undefined> {
  try {
    return await ask();
  } catch (cause) {
    // An operator's machine has no such program.
    if (asBootstrapError(cause).code === "system/command") return undefined;
    throw cause;
  }
}

/**
 * Prints a plan.
 *
 * @throws {BootstrapError} `usage/invalid-argument` for a target that is no release; `usage/document` for the policy;
 *   the errors of the API server's calls.
 */
export async function upgradePlan(
  options: UpgradePlanOptions,
  context: CliContext,
  here: ProgramsHere,
): Promise<void> {
  const to = targetOf(options.to ?? here.kubeadm);
  using api = new KubernetesApi(await readKubeconfig(options.kubeconfigFile));
  const policy = await policyOf(options, api, context);
  const survey = await surveyUpgrade(api);
  const nowMs = context.clock.now().getTime();
  const plan = planUpgrade({ survey, to, here, ...await judgedNodes(api, policy, nowMs) });
  printResult(context, options.output, { ...plan }, planText(plan));
}

function targetOf(to: string | undefined): string {
  if (to !== undefined && RELEASE.test(to)) return to;
  const reason = to === undefined
    ? "--to is missing, and this machine has no kubeadm"
    : `--to must be a released version, as in "v1.36.3"; seen ${shown(to)}`;
  throw new BootstrapError("usage/invalid-argument", `Cannot plan an upgrade: ${reason}`, {
    next: "Name the version to upgrade to, such as --to v1.37.2",
    details: { option: "--to", value: to ?? "" },
  });
}

async function policyOf(
  { policyFile }: UpgradePlanOptions,
  api: KubernetesApi,
  context: CliContext,
): Promise<Policy | undefined> {
  const text = policyFile === undefined
    ? await findPolicyDocument(api)
    : documentText(await readFile(policyFile, MAXIMUM_DOCUMENT_BYTES), policyFile);
  return text === undefined ? undefined : readPolicy(text, policyFile ?? "the cluster's policy", kindsOf(context));
}

/** Compares what live nodes have on record with a policy. A control plane that renews its own has no end on record. */
async function judgedNodes(
  api: KubernetesApi,
  policy: Policy | undefined,
  nowMs: number,
): Promise<Pick<UpgradeFacts, "ended" | "unknown">> {
  const pinned = policy === undefined ? [] : imageRegisters(policy).map(([name]) => name);
  if (policy === undefined || pinned.length === 0) return { ended: [], unknown: [] };
  const live = (await new NodeAdmissions(api).list())
    .filter(({ removedMs, status: { untilMs = Infinity } }) => removedMs === undefined && nowMs < untilMs)
    .map(({ record: { nodeName, registers = {} } }) => ({ nodeName, registers }));
  return {
    ended: live.map(({ nodeName, registers }) => ({ nodeName, registers: refusedRegisters(policy, registers) }))
      .filter(({ registers }) => registers.length > 0),
    unknown: live.filter(({ registers }) => !pinned.some((name) => name in registers)).map(({ nodeName }) => nodeName),
  };
}

const STATES: Readonly<Record<UpgradePlan["state"], string>> = {
  done: "done: nothing is left to do",
  blocked: "blocked",
  ready: "nothing blocks it",
};

/** A plan for people. Texts of the cluster are shown without control characters. */
export function planText({ from, to, state, blocks, remarks, machines, steps }: UpgradePlan): string {
  const rows = machines.map(({ nodeName, role, isReady, apiServer, kubelet }) => [
    ...[nodeName, role, isReady ? "yes" : "no", apiServer ?? "-", kubelet],
  ]);
  const headings = ["NODE", "ROLE", "READY", "API SERVER", "KUBELET"];
  const widths = headings.map((one, column) => Math.max(one.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const table = [headings, ...rows].map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()
  );
  const lines = [
    ...[`Kubernetes from ${from} to ${to}: ${STATES[state]}.`, "", ...table],
    ...(blocks.length === 0 ? [] : ["", "What blocks it:"]),
    ...blocks.flatMap(({ message, next }) => [`  ${message}.`, `    Next: ${next}.`]),
    ...(remarks.length === 0 ? [] : ["", ...remarks.map((remark) => `${remark}.`)]),
    ...(steps.length === 0 ? [] : ["", "In this order, each step when the one before it is done:"]),
    ...steps.flatMap(({ nodeName, what, commands, wayBack }, index) => [
      `  ${index + 1}. ${nodeName}: ${what}.`,
      ...commands.map((command) => `       ${command}`),
      `     Way back: ${wayBack}.`,
    ]),
  ];
  return `${lines.map((line) => line.replaceAll(/\p{Cc}+/gu, " ")).join("\n")}\n`;
}
