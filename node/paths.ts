/**
 * The paths of a node's folders and files.
 *
 * @module
 */
import { join } from "node:path";

/** The folders and files of a node. They are not configurable; tests use another root folder. */
export interface NodePaths {
  /** The folder that contains all others: `/` on a node. */
  readonly root: string;
  /** The folder of the state that survives a reboot: lock, journal, staged keys, status, timeline. */
  readonly state: string;
  /** The folder of the state that a reboot removes (tmpfs): the keys of a join in progress. */
  readonly run: string;
  /** The configuration file, used if neither the command line nor a credential gives a configuration. */
  readonly configuration: string;
  /** The file that says what the bootstrapper is doing, for `bootstrapper status`. */
  readonly status: string;
  /** The file with the phases of this node's bootstrap and their durations. */
  readonly timeline: string;
  /** The folder of a control plane's join service. The service's unit starts only if it exists. */
  readonly joinService: string;
  /** The folder of what the signer of that service must not forget. Only its user enters it. */
  readonly joinSigner: string;
  /** The socket between the two processes of a join service. Only their two users enter its folder. */
  readonly joinSocket: string;
  /** The socket of the front for the signer's connections to other members of etcd. */
  readonly joinDialer: string;
  /** The join service's socket between signer and prover. */
  readonly joinProver: string;
  /** The folder of the socket between an InitServer and its front. Only root and the front's group enter it. */
  readonly initFront: string;
  /** The folder of a founder's key, pledge and etcd. Only root enters it. */
  readonly founding: string;
  /** The TPM's device, behind the kernel's resource manager. */
  readonly tpmDevice: string;
  /** The folder of Kubernetes' configuration and keys. */
  readonly kubernetes: string;
  /** The folder of the kubelet's state. */
  readonly kubelet: string;
  /** The folder of etcd's data. */
  readonly etcd: string;
}

/** Returns the paths below a root folder. */
export function nodePaths(root = "/"): NodePaths {
  const state = join(root, "var/lib/bootstrapper");
  return Object.freeze({
    root,
    state,
    run: join(root, "run/bootstrapper"),
    configuration: join(root, "etc/bootstrapper/config.yaml"),
    status: join(state, "status.json"),
    timeline: join(state, "timeline.json"),
    joinService: join(state, "join-service"),
    joinSigner: join(state, "join-signer"),
    joinSocket: join(root, "run/bootstrapper-join/signer.sock"),
    joinDialer: join(root, "run/bootstrapper-join-front/etcd.sock"),
    joinProver: join(root, "run/bootstrapper-join-prover/prover.sock"),
    initFront: join(root, "run/bootstrapper-init"),
    founding: join(state, "founding"),
    tpmDevice: join(root, "dev/tpmrm0"),
    kubernetes: join(root, "etc/kubernetes"),
    kubelet: join(root, "var/lib/kubelet"),
    etcd: join(root, "var/lib/etcd"),
  });
}
