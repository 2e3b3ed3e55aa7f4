/**
 * Where everything is on a node.
 *
 * @module
 */
import { join } from "node:path";

/** The folders and files of a node. Nothing of it is configurable; tests have a root folder of their own. */
export interface NodePaths {
  /** What all others are below: `/` on a node. */
  readonly root: string;
  /** What survives a reboot: lock, journal, staged keys, status, timeline. */
  readonly state: string;
  /** What does not (tmpfs): the keys of a join under way. */
  readonly run: string;
  /** The configuration where neither the command line nor a credential gives one. */
  readonly configuration: string;
  /** The credentials that the machine was started with (SMBIOS, fw_cfg). */
  readonly systemCredentials: string;
  /** The same for credentials that came encrypted. */
  readonly encryptedSystemCredentials: string;
  /** What the bootstrapper does now, for `bootstrapper status`. */
  readonly status: string;
  /** The phases of this node's bootstrap, with their durations. */
  readonly timeline: string;
  /** What the join service of a control plane runs on; its unit starts where this exists. */
  readonly joinService: string;
  /** The TPM, with the kernel's resource manager. */
  readonly tpmDevice: string;
  /** Kubernetes' own configuration and keys. */
  readonly kubernetes: string;
  /** The kubelet's state. */
  readonly kubelet: string;
  /** etcd's data. */
  readonly etcd: string;
}

/** The paths below a root folder. */
export function nodePaths(root = "/"): NodePaths {
  const state = join(root, "var/lib/bootstrapper");
  return Object.freeze({
    root,
    state,
    run: join(root, "run/bootstrapper"),
    configuration: join(root, "etc/bootstrapper/config.yaml"),
    systemCredentials: join(root, "run/credentials/@system"),
    encryptedSystemCredentials: join(root, "run/credentials/@encrypted"),
    status: join(state, "status.json"),
    timeline: join(state, "timeline.json"),
    joinService: join(state, "join-service"),
    tpmDevice: join(root, "dev/tpmrm0"),
    kubernetes: join(root, "etc/kubernetes"),
    kubelet: join(root, "var/lib/kubelet"),
    etcd: join(root, "var/lib/etcd"),
  });
}
