import assert from "node:assert/strict";
import type { ControlPlaneJoinPhase } from "../../../kubernetes/control_plane_join.ts";
import type { KubeadmProgress } from "../../../kubernetes/kubeadm.ts";

/** A process of kubeadm: an init, a worker's join, or a step of a control plane's. */
export type KubeadmCommand = "init" | "join" | ControlPlaneJoinPhase["name"];

const JOIN = ["preflight", "kubelet-start", "patches", "kubelet-check"] as const;

/**
 * The headings under which kubeadm 1.36.3 tells of its work (`[certs] …`), in the order in which they first come, in a
 * cluster of tests. A test that stops it at the first line of each has stopped it in each of its phases.
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

/** Listens to a run, and checks afterwards that it had just the headings it should have. */
export class AnnouncementCheck {
  readonly #seen = new Set<string>();

  /** For `onProgress`. */
  readonly listen = ({ phase }: KubeadmProgress): void => {
    this.#seen.add(phase);
  };

  /** Fails when kubeadm has other phases than those that crash tests know. */
  assert(command: KubeadmCommand): void {
    assert.deepEqual([...this.#seen], KUBEADM_ANNOUNCEMENTS[command], command);
  }
}
