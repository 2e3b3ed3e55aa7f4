/**
 * What keeps an upgrade from beginning or going on.
 *
 * @module
 */
import type { PlannedMachine, UpgradeBlock, UpgradeFacts } from "./upgrade_types.ts";
import { compareVersions, findVersion, KUBELET_MINORS_BEHIND } from "./version.ts";

/** Returns what blocks an upgrade: first what concerns the cluster, then each machine in its order. */
export function upgradeBlocks(facts: UpgradeFacts, machines: readonly PlannedMachine[]): readonly UpgradeBlock[] {
  return [...clusterBlocks(facts), ...apartBlocks(machines), ...machines.flatMap((one) => machineBlocks(facts, one))];
}

function clusterBlocks({ survey, to }: UpgradeFacts): readonly UpgradeBlock[] {
  const [from, target] = [findVersion(survey.configured), findVersion(to)];
  if (from === undefined || target === undefined) {
    const unknown = from === undefined ? survey.configured : to;
    return [block("version-unknown", `${JSON.stringify(unknown)} is not a version of Kubernetes`, {
      next: "Set kubernetesVersion in kube-system/kubeadm-config to the version of the API servers",
    })];
  }
  if (compareVersions(target, from) < 0) {
    return [block("downgrade", `${to} is earlier than ${survey.configured}, and etcd's data does not go back`, {
      next: `Name a later version, or restore a snapshot that was taken before the upgrade to ${survey.configured}`,
    })];
  }
  if (target.minor <= from.minor + 1) return [];
  return [block("minor-skipped", `Kubernetes is upgraded by one minor version at a time, and ${to} is further`, {
    next: `Upgrade to v1.${from.minor + 1} first`,
  })];
}

/** API servers of one cluster are at most one minor version apart. */
function apartBlocks(machines: readonly PlannedMachine[]): readonly UpgradeBlock[] {
  const known = machines.flatMap(({ apiServer }) => findVersion(apiServer ?? "")?.minor ?? []);
  if (known.length === 0 || Math.max(...known) - Math.min(...known) <= 1) return [];
  return [block("api-servers-apart", "The API servers are more than one minor version apart", {
    next: "Upgrade the control planes that are behind, one minor version at a time, with kubeadm of each version",
  })];
}

function machineBlocks({ to, survey, ended }: UpgradeFacts, machine: PlannedMachine): readonly UpgradeBlock[] {
  const { nodeName, role, isReady, kubelet, apiServer } = machine;
  const [target, from, own] = [findVersion(to), findVersion(survey.configured), findVersion(kubelet)];
  const refused = ended.find((one) => one.nodeName === nodeName);
  const behind = target === undefined || own === undefined ? 0 : target.minor - own.minor;
  const isNewer = own !== undefined && from !== undefined && own.minor > from.minor;
  return [
    ...(role === "control-plane" && !isReady
      ? [block("not-ready", `The control plane ${nodeName} is not Ready`, {
        nodeName,
        next: `Look at its kubelet, or take it out: \`bootstrapper node remove ${nodeName}\``,
      })]
      : []),
    ...(role === "control-plane" && apiServer === null
      ? [block("api-server-unknown", `Nothing tells the version of the API server of ${nodeName}`, {
        nodeName,
        next: "Give its static Pods images with the version as their tag, as kubeadm does",
      })]
      : []),
    ...(own === undefined
      ? [block("version-unknown", `${nodeName} has a kubelet of ${JSON.stringify(kubelet)}`, {
        nodeName,
        next: "Install a kubelet of Kubernetes",
      })]
      : []),
    ...(behind > KUBELET_MINORS_BEHIND
      ? [block("kubelet-too-old", `The kubelet ${kubelet} of ${nodeName} is too old for API servers of ${to}`, {
        nodeName,
        next: `Upgrade this kubelet first: it may be at most ${KUBELET_MINORS_BEHIND} minor versions behind`,
      })]
      : []),
    ...(isNewer
      ? [block("kubelet-too-new", `The kubelet ${kubelet} of ${nodeName} is newer than ${survey.configured}`, {
        nodeName,
        next: "Install a kubelet that is not newer than any API server",
      })]
      : []),
    ...(refused === undefined ? [] : [
      block("policy", `The policy does not allow what ${nodeName} shows in ${refused.registers.join(", ")}`, {
        nodeName,
        next: "Leave the values of the image that runs in the policy until its last node has another one",
      }),
    ]),
  ];
}

function block(
  check: string,
  message: string,
  { next, nodeName = null }: { readonly next: string; readonly nodeName?: string | null },
): UpgradeBlock {
  return { check, nodeName, message, next };
}
