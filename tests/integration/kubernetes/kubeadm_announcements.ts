import assert from "node:assert/strict";
import type { ControlPlaneJoinPhase } from "../../../kubernetes/control_plane_join.ts";
import type { KubeadmProgress } from "../../../kubernetes/kubeadm.ts";

/** A process of kubeadm: an init, a worker's join, or a step of a control plane's join. */
export type KubeadmCommand = "init" | "join" | ControlPlaneJoinPhase["name"];

const JOIN = ["preflight", "kubelet-start", "patches", "kubelet-check"] as const;

/**
 * The headings under which kubeadm 1.36.3 reports its work (`[certs] …`), in the order in which they first appear, in a
 * test cluster. A test that stops kubeadm at the first line of each heading has stopped it in each phase.
 */
export const KUBEADM_ANNOUNCEMENTS: Readonly<Record<KubeadmCommand, readonly string[]>> = Object.freeze({
  init: [
    ...["init", "certs", "kubeconfig", "etcd", "control-plane", "kubelet-start", "patches", "wait-control-plane"],
    ...["kubelet-check", "control-plane-check", "upload-config", "kubelet", "mark-control-plane"],
  ],
  join: JOIN,
  prepare: ["preflight", "certs", "kubeconfig", "control-plane", "kubelet-start", "patches"],
  etcd: ["preflight", "etcd"],
  finish: ["preflight", "kubelet-check", "kubelet-start", "mark-control-plane", "control-plane-check"],
});

/** Listens to a run, and then checks that it had exactly the expected headings. */
export class AnnouncementCheck {
  readonly #seen = new Set<string>();

  /** The listener for `onProgress`. */
  readonly listen = ({ phase }: KubeadmProgress): void => {
    this.#seen.add(phase);
  };

  /** Fails if kubeadm has other phases than those that the crash tests know. */
  assert(command: KubeadmCommand): void {
    assert.deepEqual([...this.#seen], KUBEADM_ANNOUNCEMENTS[command], command);
  }
}
