/**
 * When a part is built: one after the other on all cores, at the same time as those on one core, or after all of these.
 */
type Stage = "all-cores" | "beside" | "after";

/** An estimate for a part, known before it is built. */
export interface PartEstimate {
  /** A description for people. */
  readonly what: string;
  readonly stage: Stage;
  /** Processor time on the reference machine, in seconds. */
  readonly coreSeconds: number;
}

/** The machine that runs the builds. */
export interface BuildMachine {
  readonly cores: number;
  /** How many times slower the machine's cores are now than those of the reference machine. */
  readonly slowdown: number;
}

const minute = 60;
/** The number of cores of the reference machine, for which all minutes below are given as wall time. */
const referenceCores = 2;
const onAllCores = (what: string, minutes: number): PartEstimate => ({
  ...{ what, stage: "all-cores", coreSeconds: minutes * minute * referenceCores },
});
const beside = (what: string, minutes: number): PartEstimate => ({
  ...{ what, stage: "beside", coreSeconds: minutes * minute },
});
const after = (what: string, minutes: number): PartEstimate => ({
  ...{ what, stage: "after", coreSeconds: minutes * minute },
});

/** The name of the part that stands for all Debian packages. */
export const packagesPart = "debian-packages";

/**
 * All parts that take more than a moment to build, by their names in the cache, with minutes on the reference machine:
 * two cores of an AMD EPYC, empty caches, nothing else running. Together they were measured at 10 minutes.
 */
export const buildEstimates: Readonly<Record<string, PartEstimate>> = {
  [packagesPart]: beside("Debian packages for building and running", 0.5),
  "go-kubernetes": onAllCores("Kubernetes, seven programs", 4.5),
  "go-kubeadm-next": onAllCores("kubeadm of the next Kubernetes", 1.5),
  "go-containerd": onAllCores("containerd", 0.8),
  "go-etcd": onAllCores("etcd", 0.6),
  "go-coredns": onAllCores("CoreDNS", 1.7),
  "go-crictl": onAllCores("crictl", 0.5),
  "go-runc": onAllCores("runc", 0.4),
  "go-cni": onAllCores("CNI plugins", 0.5),
  "go-nfpm": onAllCores("nfpm, which makes packages", 0.8),
  "root-bookworm": beside("a plain Debian 12 for tests of packages", 0.7),
  "root-trixie": beside("a plain Debian 13 for tests of packages", 0.7),
  "denort": beside("the runtime inside the binary", 0.1),
  "bootstrapper": beside("the bootstrapper", 0.1),
  "vm-debian": beside("a minimal Debian for the VMs", 1.5),
  "uki-tools": beside("systemd's tools for unified kernel images", 1.5),
  "go-flannel": onAllCores("flannel", 1),
  "go-flannel-cni": onAllCores("flannel's plug-in", 0.2),
  "container-images": after("container images", 0.1),
  "flannel-images": after("flannel's images", 0.1),
  "vm-base": after("the base of the VM image", 0.2),
  "vm-image": after("the VM image", 0.1),
};

/** How long a part takes alone, in seconds. */
export function partSeconds({ stage, coreSeconds }: PartEstimate, { cores, slowdown }: BuildMachine): number {
  return coreSeconds * slowdown / (stage === "all-cores" ? cores : 1);
}

/** How long several parts take together, in seconds. */
export function totalSeconds(parts: readonly PartEstimate[], machine: BuildMachine): number {
  const secondsOf = (wanted: Stage) =>
    parts.filter(({ stage }) => stage === wanted).reduce((sum, part) => sum + partSeconds(part, machine), 0);
  const besides = secondsOf("beside");
  // Parts that run at the same time as the builds on all cores take processor time from them, and may take longer than
  // they do.
  return Math.max(secondsOf("all-cores") + besides / machine.cores, besides) + secondsOf("after");
}

const longestInSeconds = 90;

/** Formats an estimate, rounded to its accuracy. */
export function roughly(seconds: number): string {
  if (seconds > longestInSeconds) return `${Math.round(seconds / minute)} min`;
  return `${Math.max(1, Math.round(seconds / 10)) * 10} s`;
}
