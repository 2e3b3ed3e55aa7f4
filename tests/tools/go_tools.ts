/** A set of programs that is built from Go modules, and how to build it. */
export interface GoTool {
  readonly name: string;
  /** Required modules, as `path@version`. */
  readonly modules: readonly string[];
  /** The packages to build. Each produces a binary named after the last part of its path. */
  readonly packages: readonly string[];
  readonly tags: readonly string[];
  readonly ldflags: string;
  readonly cgo: boolean;
  /** Debian packages that the build needs. */
  readonly debian: readonly string[];
  /** The version of each staging module that `modules[0]` replaces with a folder of its own repository. */
  readonly stagingVersion?: string;
  /**
   * Packages of `modules[0]`, as paths in it, that are built as empty ones: what nothing here uses, and depends on much.
   */
  readonly emptied?: readonly string[];
}

/** The version of Kubernetes that the tests run, with the leading `v`. */
export const kubernetesVersion = "v1.36.3";
/** The version to which tests upgrade: kubeadm is of it, and the programs that it starts stay the earlier ones. */
export const nextKubernetesVersion = "v1.37.2";
/** The etcd version, and the tag of the image that kubeadm of {@linkcode kubernetesVersion} requests. */
export const etcdVersion = "v3.6.8";
/** The CoreDNS version, and the tag of the image that kubeadm requests. */
export const corednsVersion = "v1.14.2";

const containerdVersion = "v2.2.1";
const crictlVersion = "v1.36.0";
const strip = "-s -w";
const pure = { tags: [], ldflags: strip, cgo: false, debian: [] } as const;

function kubernetesLdflags(version: string): string {
  const [major = "", minor = ""] = version.slice(1).split(".");
  const values = {
    gitVersion: version,
    gitMajor: major,
    gitMinor: minor,
    gitCommit: "go-module",
    gitTreeState: "clean",
    buildDate: "2026-01-01T00:00:00Z",
  };
  const flags = Object.entries(values).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
  return [strip, ...flags].join(" ");
}

/** All Go programs that the tests and the VM image need. */
export const goTools: readonly GoTool[] = [
  {
    ...pure,
    name: "kubernetes",
    modules: [`k8s.io/kubernetes@${kubernetesVersion}`],
    stagingVersion: kubernetesVersion.replace(/^v1/, "v0"),
    packages: [
      "kubeadm",
      "kubelet",
      "kube-apiserver",
      "kube-controller-manager",
      "kube-scheduler",
      "kube-proxy",
      "kubectl",
    ].map((name) => `k8s.io/kubernetes/cmd/${name}`),
    ldflags: kubernetesLdflags(kubernetesVersion),
  },
  {
    ...pure,
    name: "etcd",
    modules: [`go.etcd.io/etcd/server/v3@${etcdVersion}`, `go.etcd.io/etcd/etcdctl/v3@${etcdVersion}`],
    packages: ["go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/etcdctl/v3"],
  },
  {
    ...pure,
    name: "containerd",
    modules: [`github.com/containerd/containerd/v2@${containerdVersion}`],
    packages: ["containerd", "ctr", "containerd-shim-runc-v2"].map((name) =>
      `github.com/containerd/containerd/v2/cmd/${name}`
    ),
    tags: ["no_btrfs", "no_devmapper", "no_zfs"],
    ldflags: `${strip} -X github.com/containerd/containerd/v2/version.Version=${containerdVersion}`,
  },
  {
    name: "runc",
    modules: ["github.com/opencontainers/runc@v1.3.4"],
    packages: ["github.com/opencontainers/runc"],
    tags: ["seccomp", "netgo", "osusergo"],
    ldflags: `${strip} -linkmode external -extldflags -static`,
    cgo: true,
    debian: ["gcc", "libc6-dev", "libseccomp-dev", "pkg-config"],
  },
  {
    ...pure,
    name: "cni",
    modules: ["github.com/containernetworking/plugins@v1.9.1"],
    packages: ["main/bridge", "main/loopback", "ipam/host-local", "meta/portmap"].map((name) =>
      `github.com/containernetworking/plugins/plugins/${name}`
    ),
  },
  {
    ...pure,
    name: "coredns",
    modules: [`github.com/coredns/coredns@${corednsVersion}`],
    packages: ["github.com/coredns/coredns"],
  },
  {
    ...pure,
    name: "crictl",
    modules: [`sigs.k8s.io/cri-tools@${crictlVersion}`],
    packages: ["sigs.k8s.io/cri-tools/cmd/crictl"],
    ldflags: `${strip} -X sigs.k8s.io/cri-tools/pkg/version.Version=${crictlVersion}`,
  },
];

/** The program that restores etcd's snapshots. Only the tests of backups need it, so no image depends on it. */
export const etcdutlTool: GoTool = {
  ...pure,
  name: "etcdutl",
  modules: [`go.etcd.io/etcd/etcdutl/v3@${etcdVersion}`],
  packages: ["go.etcd.io/etcd/etcdutl/v3"],
};

/** kubeadm of the version to which tests upgrade. It is built when a test of an upgrade first asks for it. */
export const nextKubeadmTool: GoTool = {
  ...pure,
  name: "kubeadm-next",
  modules: [`k8s.io/kubernetes@${nextKubernetesVersion}`],
  stagingVersion: nextKubernetesVersion.replace(/^v1/, "v0"),
  packages: ["k8s.io/kubernetes/cmd/kubeadm"],
  ldflags: kubernetesLdflags(nextKubernetesVersion),
};
