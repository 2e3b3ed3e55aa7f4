/**
 * The plan of an upgrade of Kubernetes: what would be done on which machine, in which order, what blocks it, and the way
 * back. It is computed from what a cluster shows, and nothing is changed.
 *
 * The order follows Kubernetes' version skew policy: the API servers first, one after the other; then kubelets, which
 * must not be newer than any API server.
 *
 * @module
 */
import { KUBEADM_API_VERSION } from "./cluster_configuration.ts";
import type { SurveyedNode } from "./cluster_survey.ts";
import { upgradeBlocks } from "./upgrade_blocks.ts";
import type { PlannedMachine, UpgradeFacts, UpgradePlan, UpgradeStep } from "./upgrade_types.ts";
import type { UpgradeSurvey } from "./upgrade_survey.ts";
import { VERSIONED_COMPONENTS, versionOfImage } from "./upgrade_survey.ts";
import { compareVersions, findVersion } from "./version.ts";

const ETCDCTL = "etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt " +
  "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt --key=/etc/kubernetes/pki/etcd/healthcheck-client.key";
const ETCD = "etcd";

/**
 * Plans an upgrade.
 *
 * @throws {BootstrapError} Nothing: what cannot be read in the cluster becomes a block.
 */
export function planUpgrade(facts: UpgradeFacts): UpgradePlan {
  const { survey, to } = facts;
  const machines = survey.nodes.map((node) => machineOf(node, survey));
  const blocks = upgradeBlocks(facts, machines);
  const steps = stepsOf(facts, machines);
  return {
    ...{ from: survey.configured, to, blocks, machines, steps },
    state: blocks.length > 0 ? "blocked" : steps.length === 0 ? "done" : "ready",
    remarks: remarksOf(facts, machines),
  };
}

function machineOf({ name, role, isReady, kubeletVersion }: SurveyedNode, { pods }: UpgradeSurvey): PlannedMachine {
  const pod = pods.find(({ nodeName, component }) => nodeName === name && component === "kube-apiserver");
  const apiServer = role === "worker" || pod === undefined ? undefined : versionOfImage(pod.image);
  return { nodeName: name, role, isReady, apiServer: apiServer ?? null, kubelet: kubeletVersion };
}

function stepsOf({ survey, to }: UpgradeFacts, machines: readonly PlannedMachine[]): readonly UpgradeStep[] {
  const target = findVersion(to);
  if (target === undefined) return [];
  const isBehind = (version: string) => {
    const known = findVersion(version);
    return known === undefined || compareVersions(known, target) < 0;
  };
  const controlPlanes = machines.filter(({ role }) => role === "control-plane");
  const behind = controlPlanes.filter(({ nodeName }) =>
    VERSIONED_COMPONENTS.some((component) => {
      const pod = survey.pods.find((one) => one.nodeName === nodeName && one.component === component);
      return pod !== undefined && isBehind(versionOfImage(pod.image) ?? "");
    })
  );
  // kubeadm writes its configuration when the first control plane is upgraded, after the manifests.
  const isFirst = isBehind(survey.configured);
  const upgraded = (isFirst && behind.length === 0 ? controlPlanes.slice(0, 1) : behind)
    .map(({ nodeName }, index) => controlPlaneStep(nodeName, to, isFirst && index === 0));
  const snapshot = isFirst ? upgraded.slice(0, 1).map(({ nodeName }) => snapshotStep(nodeName, survey, to)) : [];
  const kubelets = [...controlPlanes, ...machines.filter(({ role }) => role === "worker")]
    .filter(({ kubelet }) => isBehind(kubelet));
  return [...snapshot, ...upgraded, ...kubelets.map((machine) => kubeletStep(machine, to))];
}

function snapshotStep(nodeName: string, { pods }: UpgradeSurvey, to: string): UpgradeStep {
  const file = `/var/lib/etcd/before-${to}.db`;
  const isOwn = pods.some((pod) => pod.nodeName === nodeName && pod.component === ETCD);
  return {
    ...{ nodeName, action: "snapshot" },
    what: isOwn
      ? `take a snapshot of etcd to ${file}, and copy it to another machine: every Secret of the cluster is in it`
      : "take a snapshot of the external etcd",
    commands: isOwn ? [`kubectl -n kube-system exec etcd-${nodeName} -- ${ETCDCTL} snapshot save ${file}`] : [],
    wayBack: "nothing has changed",
  };
}

/** Skips the phase that would bring kubeadm's own approval of kubelets' certificates back. */
function controlPlaneStep(nodeName: string, to: string, isFirst: boolean): UpgradeStep {
  return {
    ...{ nodeName, action: "control-plane" },
    what: `install kubeadm ${to} and the images of its control plane, then upgrade the control plane`,
    commands: [isFirst ? `kubeadm upgrade apply ${to} --yes --skip-phases=bootstrap-token` : "kubeadm upgrade node"],
    wayBack: "kubeadm puts the manifests before back by itself when a component does not start, and keeps them in " +
      "/etc/kubernetes/tmp; after this step, the way back is a restore of the snapshot",
  };
}

function kubeletStep({ nodeName, role }: PlannedMachine, to: string): UpgradeStep {
  return {
    ...{ nodeName, action: "kubelet" },
    what: `move the Pods away, install ${role === "worker" ? `kubeadm and kubelet` : "kubelet"} ${to}, start it anew`,
    commands: [
      `kubectl drain ${nodeName} --ignore-daemonsets`,
      ...(role === "worker" ? ["kubeadm upgrade node"] : []),
      "systemctl restart kubelet",
      `kubectl uncordon ${nodeName}`,
    ],
    wayBack: "install the kubelet before: API servers take kubelets of up to three earlier minor versions",
  };
}

function remarksOf(
  { survey, to, here, unknown }: UpgradeFacts,
  machines: readonly PlannedMachine[],
): readonly string[] {
  const servers = [...new Set(machines.flatMap(({ apiServer }) => apiServer ?? []))].sort();
  const silent = machines.filter(({ role, isReady }) => role === "worker" && !isReady).map(({ nodeName }) => nodeName);
  return [
    ...(servers.length > 1 ? [`An upgrade is under way: the API servers have ${servers.join(" and ")}`] : []),
    ...Object.entries(here).filter(([, version]) => version !== undefined && version !== to)
      .map(([program, version]) => `${program} on this machine is ${version}, and the target is ${to}`),
    ...(silent.length === 0 ? [] : [`Not Ready, and so not drained: ${silent.join(", ")}`]),
    ...(unknown.length === 0 ? [] : [`Nothing on record to compare the policy with: ${unknown.join(", ")}`]),
    ...(survey.configurationApi === KUBEADM_API_VERSION ? [] : [
      `kubeadm's configuration is of ${survey.configurationApi}; this program writes ${KUBEADM_API_VERSION}`,
    ]),
  ];
}
