/**
 * The kubelet of this node, under systemd.
 *
 * @module
 */
import type { NodeKubelet } from "../join/joining.ts";
import { writePem } from "../certificate/pem.ts";
import { ownApiEndpoint } from "../kubernetes/documents.ts";
import {
  installNodeCertificates,
  kubeletKubeconfigPath,
  readNodeCertificate,
  writeKubeletKubeconfig,
} from "../kubernetes/kubelet_credentials.ts";
import type { KubeletPaths } from "../kubernetes/kubelet_credentials.ts";
import type { Kubeadm } from "../kubernetes/kubeadm.ts";
import { enableKubelet, startKubelet, waitForKubelet, waitForOwnNode } from "../kubernetes/readiness.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { runOrThrow } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { NodeSelf } from "../protocol/node_self.ts";
import type { NodePaths } from "./paths.ts";
import { recordIssuedCertificates } from "./renewal_record.ts";

const SYSTEMCTL_DEADLINE_MS = 120_000;
/** An emulated machine with two cores needs minutes for work that takes a second on real hardware. */
const HEALTHY_DEADLINE_MS = 6 * 60_000;
const REGISTERED_DEADLINE_MS = 10 * 60_000;
const VERSION_DEADLINE_MS = 60_000;

/** What {@linkcode systemdKubelet} needs. */
export interface KubeletFacts {
  readonly self: NodeSelf;
  readonly paths: NodePaths;
  /** Knows the files that kubeadm writes. */
  readonly kubeadm: Pick<Kubeadm, "hasJoined">;
  /** Runs systemctl. */
  readonly commands: CommandRunner;
  readonly clock: Clock;
}

/** Returns the kubelet that systemd runs. */
export function systemdKubelet({ self, paths, kubeadm, commands, clock }: KubeletFacts): NodeKubelet {
  return {
    hasJoined: async () => await kubeadm.hasJoined() && await hasValidCertificate(paths, clock),
    installCertificates: async (ticket, keys) => {
      const { clientCertificate, servingCertificate, apiEndpoints, joinEndpoints, ca } = ticket;
      const certificates = { client: clientCertificate, serving: servingCertificate };
      await installNodeCertificates(paths, certificates, { client: keys.node, serving: keys.serving });
      const issued = { certificates, joinEndpoints, issuedBy: "attestation", attested: clock.now() } as const;
      await recordIssuedCertificates(paths.state, issued, { now: clock.now(), random: Math.random() });
      // As kubeadm has it, the kubelet of a control plane calls the API server of its own machine.
      const endpoint = self.role === "control-plane" ? ownApiEndpoint(self) : apiEndpoints[0];
      await writeKubeletKubeconfig(paths, { server: `https://${endpoint}`, caPem: writePem("CERTIFICATE", ca.der) });
    },
    enable: () => enableKubelet(commands, SYSTEMCTL_DEADLINE_MS),
    start: () => startKubelet(commands, SYSTEMCTL_DEADLINE_MS),
    waitUntilHealthy: (signal) => waitForKubelet({ clock, signal, deadlineMs: HEALTHY_DEADLINE_MS }),
    waitUntilRegistered: (signal) =>
      waitForOwnNode(
        self.name,
        "registered",
        { clock, signal, deadlineMs: REGISTERED_DEADLINE_MS },
        kubeletKubeconfigPath(paths),
      ),
  };
}

async function hasValidCertificate(paths: KubeletPaths, clock: Pick<Clock, "now">): Promise<boolean> {
  const certificate = await readNodeCertificate(paths, "client");
  return certificate !== undefined && clock.now() < certificate.notAfter;
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
