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
/** An emulated machine with two cores needs minutes for what takes a healthy one a second. */
const HEALTHY_DEADLINE_MS = 6 * 60_000;
const REGISTERED_DEADLINE_MS = 10 * 60_000;
const VERSION_DEADLINE_MS = 60_000;

/** What {@linkcode systemdKubelet} needs. */
export interface KubeletFacts {
  /** The Node's name. */
  readonly nodeName: string;
  /** Kubernetes' configuration folder. */
  readonly kubernetesFolder: string;
  /** Knows what kubeadm writes. */
  readonly kubeadm: Pick<Kubeadm, "hasJoined">;
  /** Runs systemctl. */
  readonly commands: CommandRunner;
  /** Time. */
  readonly clock: Clock;
}

/** The kubelet that systemd runs. */
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
 * The version of this node's kubelet, as `v1.36.3`.
 *
 * @throws {BootstrapError} `system/command`, `malformed/kubelet-version`.
 */
export async function kubeletVersion(commands: CommandRunner): Promise<string> {
  const text = await runOrThrow(commands, ["kubelet", "--version"], { deadlineMs: VERSION_DEADLINE_MS });
  const [, version] = /^Kubernetes (v\d+\.\d+\.\d+\S*)\s*$/.exec(text) ?? [];
  if (version !== undefined) return version;
  throw new BootstrapError(
    "malformed/kubelet-version",
    `The kubelet calls its version ${JSON.stringify(text.slice(0, 80))}`,
  );
}
