/**
 * Finds what a stock machine lacks before `bootstrapper run` can make it a member: programs, containerd's
 * configuration, the kernel's settings, and the files of this project. It changes nothing.
 *
 * @module
 */
import { join } from "node:path";
import { fromUtf8 } from "../platform/bytes.ts";
import type { CommandRunner } from "../platform/command.ts";
import { exists, readFileIfExists } from "../platform/files.ts";
import type { SetupFinding } from "./machine_setup_finding.ts";
import { containerdProblem } from "./machine_setup_containerd.ts";
import { swapsOf } from "./swaps.ts";

/** The machine to look at. */
export interface SetupFacts {
  /** The root folder: `/` on a node. */
  readonly root: string;
  /** Runs containerd and the kubelet, to ask for their versions and configuration. */
  readonly commands: CommandRunner;
}

const MAXIMUM_BYTES = 1 << 20;
const COMMAND_DEADLINE_MS = 10_000;
const PROGRAM_FOLDERS = ["usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"];
const UNIT_FOLDERS = ["etc/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system"];
/** The minor version whose packages are proposed. */
const KUBERNETES_MINOR = "v1.36";
const KUBERNETES_SOURCE = `https://pkgs.k8s.io/core:/stable:/${KUBERNETES_MINOR}/deb`;
/** How a Debian or Ubuntu machine gets Kubernetes' packages (kubernetes.io, "Installing kubeadm"). */
const ADD_KUBERNETES_SOURCE: readonly string[] = [
  "mkdir -p -m 0755 /etc/apt/keyrings && apt-get install -y curl gpg",
  `curl -fsSL ${KUBERNETES_SOURCE}/Release.key | gpg --dearmor -o /etc/apt/keyrings/kubernetes.gpg`,
  `echo "deb [signed-by=/etc/apt/keyrings/kubernetes.gpg] ${KUBERNETES_SOURCE}/ /" > /etc/apt/sources.list.d/kubernetes.list && apt-get update`,
];

/** The programs that a node needs: the package of Debian and Ubuntu, and why. */
const PROGRAMS: readonly { name: string; debian: string; isKubernetes: boolean; why: string }[] = [
  { name: "containerd", debian: "containerd", isKubernetes: false, why: "it runs the Pods" },
  { name: "kubeadm", debian: "kubeadm", isKubernetes: true, why: "it makes the cluster and joins nodes to it" },
  { name: "kubelet", debian: "kubelet", isKubernetes: true, why: "it is the node's agent" },
  { name: "crictl", debian: "cri-tools", isKubernetes: true, why: "images are looked up with it" },
  { name: "conntrack", debian: "conntrack", isKubernetes: false, why: "kubeadm's preflight and kube-proxy use it" },
  { name: "iptables", debian: "iptables", isKubernetes: false, why: "kubeadm's preflight and kube-proxy use it" },
  { name: "ip", debian: "iproute2", isKubernetes: false, why: "kubeadm's preflight looks for it" },
  { name: "mount", debian: "mount", isKubernetes: false, why: "the kubelet mounts volumes with it" },
  { name: "nsenter", debian: "util-linux", isKubernetes: false, why: "kubeadm's preflight looks for it" },
];

/**
 * Finds what the machine lacks.
 *
 * @returns The findings, in the order in which to mend them; empty if all is there.
 * @throws {BootstrapError} `system/file` if a file of the machine cannot be read.
 */
export async function findMissing(facts: SetupFacts): Promise<readonly SetupFinding[]> {
  const parts = [findPrograms(facts), findContainerd(facts), findKernel(facts), findSwap(facts), findOwnFiles(facts)];
  return (await Promise.all(parts)).flat();
}

async function hasAny(root: string, folders: readonly string[], name: string): Promise<boolean> {
  return (await Promise.all(folders.map((folder) => exists(join(root, folder, name))))).includes(true);
}

async function text(root: string, path: string): Promise<string | undefined> {
  const bytes = await readFileIfExists(join(root, path), MAXIMUM_BYTES);
  return bytes && fromUtf8(bytes, path);
}

/** Whether `/etc/os-release` names Debian, or a distribution made from it (os-release(5)). */
export function isLikeDebian(osRelease: string): boolean {
  const ids = osRelease.matchAll(/^ID(?:_LIKE)?=["']?([^"'\n]*)["']?$/gm);
  return [...ids].some(([, value = ""]) => value.split(" ").includes("debian"));
}

async function findPrograms({ root }: SetupFacts): Promise<SetupFinding[]> {
  const onDebian = isLikeDebian(await text(root, "etc/os-release") ?? "");
  const hasSource = await exists(join(root, "etc/apt/sources.list.d/kubernetes.list"));
  const findings = await Promise.all(PROGRAMS.map(async ({ name, debian, isKubernetes, why }) => {
    if (await hasAny(root, PROGRAM_FOLDERS, name)) return [];
    const source = isKubernetes && !hasSource ? ADD_KUBERNETES_SOURCE : [];
    const commands = onDebian
      ? [...source, `apt-get install -y ${debian}`]
      : [`# install ${name} with this distribution's package manager`];
    return [{ check: `program-${name}`, what: `The program ${name} is missing`, why, commands }];
  }));
  return findings.flat();
}

async function said({ commands }: SetupFacts, argv: readonly [string, ...string[]]): Promise<string | undefined> {
  const result = await commands.run(argv, { deadlineMs: COMMAND_DEADLINE_MS }).catch(() => undefined);
  return result?.code === 0 ? result.stdout : undefined;
}

async function findContainerd(facts: SetupFacts): Promise<SetupFinding[]> {
  const { root } = facts;
  if (!await hasAny(root, PROGRAM_FOLDERS, "containerd")) return [];
  const file = await text(root, "etc/containerd/config.toml");
  // The dump holds the files of `imports` too.
  const configuration = file === undefined ? undefined : await said(facts, ["containerd", "config", "dump"]) ?? file;
  const problem = containerdProblem({
    configuration,
    version: await said(facts, ["containerd", "--version"]),
    kubelet: await said(facts, ["kubelet", "--version"]),
  });
  const loopback = await exists(join(root, "opt/cni/bin/loopback")) ? [] : [{
    check: "cni-plugins",
    what: "/opt/cni/bin has no CNI plug-ins",
    why: "containerd and network add-ons start Pods' networks with them",
    commands: ["apt-get install -y kubernetes-cni"],
  }];
  return [...problem, ...loopback];
}

async function findKernel({ root }: SetupFacts): Promise<SetupFinding[]> {
  const findings: SetupFinding[] = [];
  if (!/\boverlay$/m.test(await text(root, "proc/filesystems") ?? "")) {
    findings.push(moduleFinding("overlay", "containerd stacks images' layers with it"));
  }
  const bridged = (await text(root, "proc/sys/net/bridge/bridge-nf-call-iptables"))?.trim();
  if (bridged === undefined) findings.push(moduleFinding("br_netfilter", "Services' rules see bridged Pods with it"));
  if (bridged !== "1") {
    findings.push(sysctlFinding("net.bridge.bridge-nf-call-iptables", "bridged Pods reach Services"));
  }
  if ((await text(root, "proc/sys/net/ipv4/ip_forward"))?.trim() !== "1") {
    findings.push(sysctlFinding("net.ipv4.ip_forward", "packets go between Pods and nodes"));
  }
  if (!await exists(join(root, "sys/fs/cgroup/cgroup.controllers"))) {
    const commands = ["# boot with systemd.unified_cgroup_hierarchy=1"];
    findings.push({ check: "cgroup", what: "cgroup v2 is not mounted", why: "the kubelet needs it", commands });
  }
  return findings;
}

function moduleFinding(name: string, why: string): SetupFinding {
  const commands = [`echo ${name} > /etc/modules-load.d/bootstrapper-${name}.conf`, `modprobe ${name}`];
  return { check: `module-${name}`, what: `The kernel module ${name} is not loaded`, why, commands };
}

function sysctlFinding(name: string, effect: string): SetupFinding {
  const file = `/etc/sysctl.d/90-bootstrapper-${name.split(".").at(-1)}.conf`;
  const commands = [`echo '${name} = 1' > ${file}`, `sysctl -p ${file}`];
  return { check: `sysctl-${name}`, what: `${name} is not 1`, why: `with it, ${effect}`, commands };
}

async function findSwap(facts: SetupFacts): Promise<SetupFinding[]> {
  const swaps = swapsOf(await said(facts, ["cat", join(facts.root, "proc/swaps")]) ?? "");
  if (swaps.length === 0) return [];
  const commands = ["swapoff -a", "sed -i.bak -E '/^[^#].*\\sswap\\s/s/^/#/' /etc/fstab"];
  return [{
    check: "swap",
    what: `Swap is on (${swaps.join(", ")})`,
    why: "the kubelet does not start with it",
    commands,
  }];
}

async function findOwnFiles({ root }: SetupFacts): Promise<SetupFinding[]> {
  const findings: SetupFinding[] = [];
  const units = ["bootstrapper.service", "kubelet.service.d/20-bootstrapper-certificates.conf"];
  for (const unit of units) {
    if (await hasAny(root, UNIT_FOLDERS, unit)) continue;
    const commands = [`install -D -m 0644 deploy/${unit} /etc/systemd/system/${unit}`, "systemctl daemon-reload"];
    findings.push({
      check: `unit-${unit}`,
      what: `The unit file ${unit} is missing`,
      why: "systemd starts us by it",
      commands,
    });
  }
  if (!/^bootstrapper-front:/m.test(await text(root, "etc/passwd") ?? "")) {
    const commands = [
      "install -D -m 0644 deploy/sysusers.conf /usr/lib/sysusers.d/bootstrapper.conf",
      "systemd-sysusers bootstrapper.conf",
    ];
    findings.push({
      check: "users",
      what: "The users of the join service are missing",
      why: "it runs as them",
      commands,
    });
  }
  if (!await exists(join(root, "etc/bootstrapper/config.yaml"))) {
    const commands = ["bootstrapper config new --help"];
    const what = "/etc/bootstrapper/config.yaml is missing";
    findings.push({ check: "configuration", what, why: "it says which cluster the machine belongs to", commands });
  }
  return findings;
}
