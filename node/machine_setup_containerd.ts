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
}

/** The plug-in that starts containers, in versions 3 and 2 of the configuration. */
const RUNTIME_PLUGINS = ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"];
/** Names of the CRI plug-in in `disabled_plugins`. */
const CRI_NAMES = ["cri", ...RUNTIME_PLUGINS];
/** The first minor version of the kubelet that does not work with containerd 1.x (Kubernetes 1.35's release notes). */
const FIRST_KUBELET_WITHOUT_1 = 36;
/** The file that was there stays beside it, under a name of its own. */
const WRITE_DEFAULT = [
  "test ! -e /etc/containerd/config.toml || cp -a --backup=numbered /etc/containerd/config.toml /etc/containerd/config.toml.before",
  "mkdir -p /etc/containerd && containerd config default > /etc/containerd/config.toml",
  "sed -i 's/SystemdCgroup = false/SystemdCgroup = true/' /etc/containerd/config.toml",
  "systemctl restart containerd",
];

/** Finds what is wrong with containerd. */
export function containerdProblem({ configuration, version, kubelet }: ContainerdFacts): SetupFinding[] {
  return [...versionProblem(version, kubelet), ...configurationProblem(configuration)];
}

function versionProblem(version = "", kubelet = ""): SetupFinding[] {
  const major = / v?(\d+)\.\d+\.\d+/.exec(version)?.[1];
  const minor = /v1\.(\d+)\./.exec(kubelet)?.[1];
  if (major !== "1" || minor === undefined || Number(minor) < FIRST_KUBELET_WITHOUT_1) return [];
  return [{
    check: "containerd-version",
    what: `containerd is a version 1, and the kubelet is 1.${minor}`,
    why: "kubelets from 1.36 on need containerd 2.0 or newer, which this distribution's package is not",
    commands: ["# install containerd.io 2.x from https://docs.docker.com/engine/install/, or a release of containerd"],
  }];
}

function configurationProblem(configuration: string | undefined): SetupFinding[] {
  const finding = (check: string, what: string, why: string, commands: readonly string[] = WRITE_DEFAULT) => [
    { check, what, why, commands },
  ];
  const cgroup = "kubeadm's kubelet lets systemd manage cgroups, and both must agree";
  if (configuration === undefined) {
    return finding("containerd-configuration", "/etc/containerd/config.toml is missing", cgroup);
  }
  let document: unknown;
  try {
    document = parse(configuration);
  } catch {
    const commands = ["containerd config dump"];
    return finding("containerd-configuration", "containerd's configuration is no TOML", "nothing reads it", commands);
  }
  const disabled = at(document, ["disabled_plugins"]);
  if (Array.isArray(disabled) && disabled.some((name) => CRI_NAMES.includes(String(name)))) {
    return finding("containerd-cri", "containerd's CRI plug-in is disabled", "the kubelet talks to it");
  }
  const options = ["containerd", "runtimes", "runc", "options", "SystemdCgroup"];
  const isSystemd = RUNTIME_PLUGINS.some((plugin) => at(document, ["plugins", plugin, ...options]) === true);
  return isSystemd ? [] : finding("containerd-cgroup", "containerd's SystemdCgroup is not true", cgroup);
}

function at(document: unknown, keys: readonly string[]): unknown {
  return keys.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined,
    document,
  );
}
