/**
 * The kubelet of this node, under systemd.
 *
 * @module
 */
import { join } from "node:path";
import type { NodeKubelet } from "../join/joining.ts";
import type { Kubeadm } from "../kubernetes/kubeadm.ts";
import { enableKubelet, startKubelet, waitForKubelet, waitForOwnNode } from "../kubernetes/readiness.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { runOrThrow } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";

const SYSTEMCTL_DEADLINE_MS = 120_000;
/** An emulated machine with two cores needs minutes for work that takes a second on real hardware. */
const HEALTHY_DEADLINE_MS = 6 * 60_000;
const REGISTERED_DEADLINE_MS = 10 * 60_000;
const VERSION_DEADLINE_MS = 60_000;

/** What {@linkcode systemdKubelet} needs. */
export interface KubeletFacts {
  readonly nodeName: string;
  /** Kubernetes' configuration folder, `/etc/kubernetes`. */
  readonly kubernetesFolder: string;
  /** Knows the files that kubeadm writes. */
  readonly kubeadm: Pick<Kubeadm, "hasJoined">;
  /** Runs systemctl. */
  readonly commands: CommandRunner;
  readonly clock: Clock;
}

/** Returns the kubelet that systemd runs. */
export function systemdKubelet({ nodeName, kubernetesFolder, kubeadm, commands, clock }: KubeletFacts): NodeKubelet {
  return {
    hasJoined: () => kubeadm.hasJoined(),
    enable: () => enableKubelet(commands, SYSTEMCTL_DEADLINE_MS),
    start: () => startKubelet(commands, SYSTEMCTL_DEADLINE_MS),
    waitUntilHealthy: (signal) => waitForKubelet({ clock, signal, deadlineMs: HEALTHY_DEADLINE_MS }),
    waitUntilRegistered: (signal) =>
      waitForOwnNode(
        nodeName,
        "registered",
        { clock, signal, deadlineMs: REGISTERED_DEADLINE_MS },
        join(kubernetesFolder, "kubelet.conf"),
      ),
  };
}

/**
 * Returns the version of this node's kubelet, such as `v1.36.3`.
 *
 * @throws {BootstrapError} `system/command`, `malformed/kubelet-version`.
 */
export async function kubeletVersion(commands: CommandRunner): Promise<string> {
  const text = await runOrThrow(commands, ["kubelet", "--version"], { deadlineMs: VERSION_DEADLINE_MS });
  const [, version] = /^Kubernetes (v\d+\.\d+\.\d+\S*)\s*$/.exec(text) ?? [];
  if (version !== undefined) return version;
  throw new BootstrapError(
    "malformed/kubelet-version",
    `The kubelet's version is not of the form "Kubernetes v1.2.3": ${JSON.stringify(text.slice(0, 80))}`,
  );
}
