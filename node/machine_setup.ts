/**
 * Finds what a stock machine lacks before `bootstrapper run` can make it a member: programs, containerd's
 * configuration, the kernel's settings, images, and the files of this project. It changes nothing.
 *
 * @module
 */
import { join } from "node:path";
import { missingImages } from "../kubernetes/images.ts";
import { parseSandboxImage } from "../kubernetes/sandbox_image.ts";
import { DEFAULT_CLUSTER_DOCUMENT } from "../kubernetes/settings.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import type { CommandRunner } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { exists, readFileIfExists } from "../platform/files.ts";
import { containerdProblem, pluginFolders } from "./machine_setup_containerd.ts";
import { ENABLED_UNITS, OTHER_FILES, type OwnFile, ownUnits } from "./machine_setup_files.ts";
import type { Argv, SetupAction, SetupFinding } from "./machine_setup_finding.ts";
import { swapFindings } from "./machine_setup_swap.ts";

/** The machine to look at. */
export interface SetupFacts {
  /** The root folder: `/` on a node. */
  readonly root: string;
  /** Runs containerd, the kubelet and others, to ask for their versions and configuration. */
  readonly commands: CommandRunner;
  /** The program's own file, which is copied where there is none. */
  readonly program: string;
  /** Whether packages may come from the repositories of Kubernetes and of Docker. Default: no. */
  readonly addsRepositories?: boolean;
  /** The minor version of Kubernetes whose repository is added, such as `v1.36`. Default: that of a new cluster. */
  readonly kubernetesMinor?: string;
}

const MAXIMUM_BYTES = 1 << 20;
const COMMAND_DEADLINE_MS = 10_000;
const PROGRAM_FOLDERS = ["usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"];
const KEYRINGS = "/etc/apt/keyrings";
const DEFAULT_MINOR = /v\d+\.\d+/.exec(DEFAULT_CLUSTER_DOCUMENT)?.[0] ?? "";

/** A repository of packages. */
interface Repository {
  readonly name: string;
  readonly key: string;
  /** What follows `deb [signed-by=…]` in its list. */
  readonly line: string;
}

/** The programs that a node needs: the package of Debian and Ubuntu, the repository if it is not theirs, and why. */
const PROGRAMS: readonly { name: string; debian: string; from?: "kubernetes" | "docker"; why: string }[] = [
  { name: "containerd", debian: "containerd.io", from: "docker", why: "it runs the Pods" },
  { name: "kubeadm", debian: "kubeadm", from: "kubernetes", why: "it makes the cluster and joins nodes to it" },
  { name: "kubelet", debian: "kubelet", from: "kubernetes", why: "it is the node's agent" },
  { name: "crictl", debian: "cri-tools", from: "kubernetes", why: "images are looked up with it" },
  { name: "conntrack", debian: "conntrack", why: "kubeadm's preflight and kube-proxy use it" },
  { name: "iptables", debian: "iptables", why: "kubeadm's preflight and kube-proxy use it" },
  { name: "ip", debian: "iproute2", why: "kubeadm's preflight looks for it" },
  { name: "mount", debian: "mount", why: "the kubelet mounts volumes with it" },
  { name: "nsenter", debian: "util-linux", why: "kubeadm's preflight looks for it" },
];

/**
 * Finds what the machine lacks.
 *
 * @returns The findings, in the order in which to mend them; empty if all is there.
 * @throws {BootstrapError} `system/file` if a file of the machine cannot be read.
 */
export async function findMissing(facts: SetupFacts): Promise<readonly SetupFinding[]> {
  const parts = [
    ...[findPrograms(facts), findKernel(facts), findSwap(facts), findContainerd(facts), findImages(facts)],
    findOwnFiles(facts),
  ];
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

function fieldOf(osRelease: string, name: string): string | undefined {
  return new RegExp(`^${name}=["']?([\\w.-]+)["']?$`, "m").exec(osRelease)?.[1];
}

async function findPrograms(facts: SetupFacts): Promise<readonly SetupFinding[]> {
  const { root } = facts;
  const osRelease = await text(root, "etc/os-release") ?? "";
  const missing: typeof PROGRAMS[number][] = [];
  for (const program of PROGRAMS) if (!await hasAny(root, PROGRAM_FOLDERS, program.name)) missing.push(program);
  if (missing.length === 0) return [];
  if (!isLikeDebian(osRelease)) {
    return missing.map(({ name, why }) => ({
      ...{ check: `program-${name}`, what: `The program ${name} is missing`, why, actions: [] },
      advice: [`# install ${name} with this distribution's package manager`],
    }));
  }
  const available = await packagesAvailable(facts, missing.map(({ debian }) => debian));
  // Debian's own containerd is a version 1 up to Debian 13. It serves where nothing newer is, and the kubelet is older.
  const findings: SetupFinding[] = [];
  for (const source of ["kubernetes", "docker"] as const) {
    const wanted = missing.filter(({ from, debian }) => from === source && !available.has(debian));
    if (wanted.length === 0) continue;
    findings.push(repositoryFinding(facts, repository(source, osRelease, facts), wanted.map(({ debian }) => debian)));
  }
  return [
    ...findings,
    ...missing.map(({ name, debian, why, from }): SetupFinding => {
      const isThere = from === undefined || available.has(debian) || facts.addsRepositories === true;
      const install: SetupAction = { kind: "packages", names: [debian] };
      return {
        ...{ check: `program-${name}`, what: `The program ${name} is missing`, why },
        ...(isThere ? { actions: [install] } : { actions: [], advice: [`apt-get install -y ${debian}`] }),
      };
    }),
  ];
}

/** The packages that the machine's sources have. */
async function packagesAvailable(facts: SetupFacts, names: readonly string[]): Promise<ReadonlySet<string>> {
  const policies = await said(facts, ["apt-cache", "policy", ...names]) ?? "";
  const found = policies.split(/^(?=\S)/m).filter((part) => /^\s+Candidate: (?!\(none\))/m.test(part));
  return new Set(found.map((part) => part.slice(0, part.indexOf(":"))));
}

function repository(source: "kubernetes" | "docker", osRelease: string, { kubernetesMinor }: SetupFacts): Repository {
  if (source === "kubernetes") {
    const base = `https://pkgs.k8s.io/core:/stable:/${kubernetesMinor ?? DEFAULT_MINOR}/deb`;
    return { name: "kubernetes", key: `${base}/Release.key`, line: `${base}/ /` };
  }
  const id = fieldOf(osRelease, "ID") === "ubuntu" ? "ubuntu" : "debian";
  const base = `https://download.docker.com/linux/${id}`;
  return {
    name: "docker",
    key: `${base}/gpg`,
    line: `${base} ${fieldOf(osRelease, "VERSION_CODENAME") ?? "stable"} stable`,
  };
}

/** How a Debian or Ubuntu machine gets a repository (kubernetes.io, "Installing kubeadm"; docs.docker.com). */
function repositoryFinding(
  { addsRepositories = false }: SetupFacts,
  { name, key, line }: Repository,
  packages: readonly string[],
): SetupFinding {
  const keyring = `${KEYRINGS}/${name}.asc`;
  const actions: readonly SetupAction[] = [
    { kind: "packages", names: ["ca-certificates", "curl"] },
    {
      ...{ kind: "run", argv: ["curl", "-fsSL", "--create-dirs", "--output", keyring, key] },
      undo: ["rm", "-f", keyring],
    },
    { kind: "file", path: `/etc/apt/sources.list.d/${name}.list`, text: `deb [signed-by=${keyring}] ${line}\n` },
    { kind: "run", argv: ["apt-get", "update"] },
  ];
  const finding = {
    check: `repository-${name}`,
    what: `No package source of this machine has ${packages.join(", ")}`,
    why: `the repository of ${name === "docker" ? "Docker" : "Kubernetes"} has ${
      packages.length === 1 ? "it" : "them"
    }`,
  };
  if (addsRepositories) return { ...finding, actions };
  return { ...finding, actions: [], advice: ["# `bootstrapper machine setup --apply --add-repositories` adds it"] };
}

async function said({ commands }: SetupFacts, argv: Argv): Promise<string | undefined> {
  const result = await commands.run(argv, { deadlineMs: COMMAND_DEADLINE_MS }).catch(() => undefined);
  return result?.code === 0 ? result.stdout : undefined;
}

async function findContainerd(facts: SetupFacts): Promise<readonly SetupFinding[]> {
  const { root } = facts;
  if (!await hasAny(root, PROGRAM_FOLDERS, "containerd")) return [];
  const file = await text(root, "etc/containerd/config.toml");
  // The dump holds the files of `imports` too.
  const configuration = file === undefined ? undefined : await said(facts, ["containerd", "config", "dump"]) ?? file;
  const problem = containerdProblem({
    configuration,
    version: await said(facts, ["containerd", "--version"]),
    kubelet: await said(facts, ["kubelet", "--version"]),
    defaults: await said(facts, ["containerd", "config", "default"]),
    canRestart: await runsSystemd(root),
    pauseImage: (await kubeadmImages(facts)).images.find((image) => /\/pause[:@]/.test(image)),
  });
  // Another configuration may look elsewhere.
  if (problem.length > 0) return problem;
  const folders = pluginFolders(configuration);
  if (await hasAny(root, folders, "loopback")) return [];
  return [{
    check: "cni-plugins",
    what: `${folders.join(", ")} has no CNI plug-ins, and containerd looks for them there`,
    why: "containerd and network add-ons start Pods' networks with them",
    actions: [],
    advice: folders.includes("/usr/lib/cni")
      ? ["apt-get install -y containernetworking-plugins"]
      : ["apt-get install -y kubernetes-cni"],
  }];
}

/** The version of this machine's kubeadm, and the images that it needs. Nothing is fetched. */
async function kubeadmImages(facts: SetupFacts): Promise<{ version?: string; images: readonly string[] }> {
  const version = (await said(facts, ["kubeadm", "version", "-o", "short"]))?.trim();
  if (version === undefined || version === "") return { images: [] };
  const list = await said(facts, ["kubeadm", "config", "images", "list", "--kubernetes-version", version]) ?? "";
  return { version, images: list.split("\n").filter((line) => line !== "") };
}

async function findImages(facts: SetupFacts): Promise<readonly SetupFinding[]> {
  const { version, images } = await kubeadmImages(facts);
  if (version === undefined || images.length === 0) return [];
  const dump = await said(facts, ["containerd", "config", "dump"]);
  const sandbox = dump === undefined ? undefined : parseSandboxImage(dump);
  const all = sandbox === undefined || images.includes(sandbox) ? images : [...images, sandbox];
  // Without a containerd that answers there is another finding.
  const missing = await missingImages(facts.commands, all, COMMAND_DEADLINE_MS).catch((cause: unknown) => {
    if (cause instanceof BootstrapError) return [];
    throw cause;
  });
  if (missing.length === 0) return [];
  const own = missing.filter((image) => images.includes(image));
  return [{
    check: "images",
    what: `${missing.length} of the images of Kubernetes ${version} are not on this machine`,
    why: "the node fetches none by itself",
    actions: [
      ...(own.length === 0
        ? []
        : [{ kind: "run", argv: ["kubeadm", "config", "images", "pull", "--kubernetes-version", version] } as const]),
      ...missing.filter((image) => !own.includes(image))
        .map((image): SetupAction => ({ kind: "run", argv: ["crictl", "pull", image] })),
    ],
  }];
}

async function findKernel({ root }: SetupFacts): Promise<readonly SetupFinding[]> {
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
    const advice = ["# boot with systemd.unified_cgroup_hierarchy=1"];
    findings.push({
      check: "cgroup",
      what: "cgroup v2 is not mounted",
      why: "the kubelet needs it",
      actions: [],
      advice,
    });
  }
  return findings;
}

function moduleFinding(name: string, why: string): SetupFinding {
  const actions: readonly SetupAction[] = [
    { kind: "file", path: `/etc/modules-load.d/bootstrapper-${name}.conf`, text: `${name}\n` },
    { kind: "run", argv: ["modprobe", name] },
  ];
  return { check: `module-${name}`, what: `The kernel module ${name} is not loaded`, why, actions };
}

function sysctlFinding(name: string, effect: string): SetupFinding {
  const path = `/etc/sysctl.d/90-bootstrapper-${name.split(".").at(-1)}.conf`;
  const actions: readonly SetupAction[] = [
    { kind: "file", path, text: `${name} = 1\n` },
    { kind: "sysctl", name, value: "1" },
  ];
  return { check: `sysctl-${name}`, what: `${name} is not 1`, why: `with it, ${effect}`, actions };
}

async function findSwap(facts: SetupFacts): Promise<readonly SetupFinding[]> {
  const { root } = facts;
  // Deno may not read below /proc where it is not root's.
  return swapFindings({
    swaps: await said(facts, ["cat", join(root, "proc/swaps")]) ?? "",
    fstab: await text(root, "etc/fstab") ?? "",
    units: await said(facts, ["systemctl", "list-unit-files", "--type=swap", "--no-legend", "--plain"]) ?? "",
    hasZramswap: await hasAny(root, ["usr/lib/systemd/system", "lib/systemd/system"], "zramswap.service"),
  });
}

async function findOwnFiles(facts: SetupFacts): Promise<readonly SetupFinding[]> {
  const { root } = facts;
  const findings: SetupFinding[] = [];
  const places = await Promise.all(
    ["usr/local/bin", "usr/bin"].map(async (folder) =>
      await exists(join(root, folder, "bootstrapper")) ? [`/${folder}/bootstrapper`] : []
    ),
  );
  const [program] = places.flat();
  if (program === undefined) {
    const target = "/usr/local/bin/bootstrapper";
    findings.push({
      ...{
        check: "program-bootstrapper",
        what: "The program itself is in no folder of programs",
        why: "units start it",
      },
      actions: [{
        ...{ kind: "run", argv: ["install", "-D", "-m", "0755", facts.program, target] },
        undo: ["rm", "-f", target],
      }],
    });
  }
  const missing: OwnFile[] = [];
  for (const file of ownUnits(program)) if (!await hasAny(root, file.folders, file.name)) missing.push(file);
  if (missing.length > 0) {
    const reload = await runsSystemd(root) ? ["systemctl", "daemon-reload"] as const : undefined;
    findings.push({
      check: "units",
      what: missing.length === 1
        ? `The unit file ${missing[0]?.name} is missing`
        : `${missing.length} unit files are missing, such as ${missing[0]?.name}`,
      why: "systemd starts us by them",
      actions: [
        ...(reload === undefined ? [] : [{ kind: "afterUndo", argv: reload } as const]),
        ...missing.map(written),
        ...(reload === undefined ? [] : [{ kind: "run", argv: reload } as const]),
        {
          ...{ kind: "run", argv: ["systemctl", "enable", ...ENABLED_UNITS] },
          undo: ["systemctl", "disable", ...ENABLED_UNITS],
        },
      ],
    });
  }
  if (!await hasAny(root, OTHER_FILES.tpmRules.folders, OTHER_FILES.tpmRules.name)) {
    findings.push({
      ...{ check: "udev-rules", what: "The udev rule for the TPM is missing", why: "systemd learns of the TPM by it" },
      actions: [written(OTHER_FILES.tpmRules)],
    });
  }
  if (!/^bootstrapper-front:/m.test(await text(root, "etc/passwd") ?? "")) {
    findings.push({
      ...{ check: "users", what: "The users of the join service are missing", why: "it runs as them" },
      actions: [written(OTHER_FILES.users), { kind: "run", argv: ["systemd-sysusers", OTHER_FILES.users.name] }],
    });
  }
  if (!await exists(join(root, "etc/bootstrapper/config.yaml"))) {
    const advice = ["bootstrapper config new --help"];
    const what = "/etc/bootstrapper/config.yaml is missing";
    const why = "it says which cluster the machine belongs to";
    findings.push({ check: "configuration", what, why, actions: [], advice });
  }
  return findings;
}

/** Whether systemd runs: not in an image that is being built (sd_booted(3)). */
function runsSystemd(root: string): Promise<boolean> {
  return exists(join(root, "run/systemd/system"));
}

function written({ name, folders: [folder], text }: OwnFile): SetupAction {
  return { kind: "file", path: `/${folder}/${name}`, text };
}
