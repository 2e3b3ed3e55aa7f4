/**
 * Judges containerd's version and configuration, in the forms of its versions 2 (containerd 1.x) and 3 (2.x).
 *
 * @module
 */
import { parse } from "smol-toml";
import type { SetupFinding } from "./machine_setup_finding.ts";

/** What containerd and the kubelet say about themselves. */
export interface ContainerdFacts {
  /** The configuration, as TOML; absent if there is no file. */
  readonly configuration: string | undefined;
  /** The output of `containerd --version`; absent if not known. */
  readonly version: string | undefined;
  /** The output of `kubelet --version`; absent if not known. */
  readonly kubelet: string | undefined;
  /** The output of `containerd config default`; absent if not known. */
  readonly defaults: string | undefined;
  /** Whether systemd runs containerd, and starts it anew after a change. Default: no. */
  readonly canRestart?: boolean;
  /** The sandbox image that kubeadm has; absent if not known. */
  readonly pauseImage?: string | undefined;
}

/** The plug-in that starts containers, in versions 3 and 2 of the configuration. */
const RUNTIME_PLUGINS = ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"];
/** Names of the CRI plug-in in `disabled_plugins`. */
const CRI_NAMES = ["cri", ...RUNTIME_PLUGINS];
/** The first minor version of the kubelet that does not work with containerd 1.x (Kubernetes 1.35's release notes). */
const FIRST_KUBELET_WITHOUT_1 = 36;
const CONFIGURATION_FILE = "/etc/containerd/config.toml";
const RESTART = ["systemctl", "restart", "containerd"] as const;

/** Finds what is wrong with containerd. */
export function containerdProblem(facts: ContainerdFacts): SetupFinding[] {
  return [...versionProblem(facts.version, facts.kubelet), ...configurationProblem(facts)];
}

/** The folders in which containerd looks for CNI plug-ins, by its configuration; its default is `/opt/cni/bin`. */
export function pluginFolders(configuration: string | undefined): readonly string[] {
  const document = configuration === undefined ? undefined : parsed(configuration);
  const found = [
    at(document, ["plugins", "io.containerd.cri.v1.runtime", "cni", "bin_dirs"]),
    at(document, ["plugins", "io.containerd.cri.v1.runtime", "cni", "bin_dir"]),
    at(document, ["plugins", "io.containerd.grpc.v1.cri", "cni", "bin_dir"]),
  ].flat().filter((folder): folder is string => typeof folder === "string" && folder !== "");
  return found.length === 0 ? ["/opt/cni/bin"] : found;
}

/**
 * containerd's own defaults, with systemd's control groups and kubeadm's pause image. `config default` of 1.x and 2.x
 * writes each on a line of its own.
 */
function goodConfiguration(defaults: string, pauseImage: string | undefined): string {
  const grouped = defaults.replaceAll(/^(\s*SystemdCgroup = )false$/gm, "$1true");
  return pauseImage === undefined
    ? grouped
    : grouped.replaceAll(/^(\s*(?:sandbox_image|sandbox) = )(?:'[^'\n]*'|"[^"\n]*")$/gm, `$1"${pauseImage}"`);
}

function versionProblem(version = "", kubelet = ""): SetupFinding[] {
  const major = / v?(\d+)\.\d+\.\d+/.exec(version)?.[1];
  const minor = /v1\.(\d+)\./.exec(kubelet)?.[1];
  if (major !== "1" || minor === undefined || Number(minor) < FIRST_KUBELET_WITHOUT_1) return [];
  return [{
    check: "containerd-version",
    what: `containerd is a version 1, and the kubelet is 1.${minor}`,
    why: "kubelets from 1.36 on need containerd 2.0 or newer, which this distribution's package is not",
    actions: [],
    advice: ["# install containerd.io 2.x from https://docs.docker.com/engine/install/, or a release of containerd"],
  }];
}

function configurationProblem(
  { configuration, defaults, pauseImage, canRestart = false }: ContainerdFacts,
): SetupFinding[] {
  const finding = (check: string, what: string, why: string): SetupFinding[] => [{
    ...{ check, what, why },
    actions: defaults === undefined ? [] : [
      ...(canRestart ? [{ kind: "afterUndo", argv: RESTART } as const] : []),
      { kind: "file", path: CONFIGURATION_FILE, text: goodConfiguration(defaults, pauseImage) },
      ...(canRestart ? [{ kind: "run", argv: RESTART } as const] : []),
    ],
    ...(defaults === undefined ? { advice: [`# correct ${CONFIGURATION_FILE}`] } : {}),
  }];
  const cgroup = "kubeadm's kubelet lets systemd manage cgroups, and both must agree";
  if (configuration === undefined) {
    return finding("containerd-configuration", `${CONFIGURATION_FILE} is missing`, cgroup);
  }
  const document = parsed(configuration);
  if (document === undefined) {
    return finding("containerd-configuration", "containerd's configuration is no TOML", "nothing reads it");
  }
  const disabled = at(document, ["disabled_plugins"]);
  if (Array.isArray(disabled) && disabled.some((name) => CRI_NAMES.includes(String(name)))) {
    return finding("containerd-cri", "containerd's CRI plug-in is disabled", "the kubelet talks to it");
  }
  const options = ["containerd", "runtimes", "runc", "options", "SystemdCgroup"];
  const isSystemd = RUNTIME_PLUGINS.some((plugin) => at(document, ["plugins", plugin, ...options]) === true);
  return isSystemd ? [] : finding("containerd-cgroup", "containerd's SystemdCgroup is not true", cgroup);
}

function parsed(configuration: string): unknown {
  try {
    return parse(configuration);
  } catch {
    return undefined;
  }
}

function at(document: unknown, keys: readonly string[]): unknown {
  return keys.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined,
    document,
  );
}
