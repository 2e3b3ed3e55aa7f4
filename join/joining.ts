/**
 * The dependencies of a join's steps, and the last steps of every join.
 *
 * @module
 */
import type { Journal } from "../journal/journal.ts";
import type { Sequence } from "../journal/sequence.ts";
import type { ControlPlaneJoin } from "../kubernetes/control_plane_join.ts";
import type { JoinFacts } from "../kubernetes/documents.ts";
import type { FailedCheck, Kubeadm } from "../kubernetes/kubeadm.ts";
import type { Clock } from "../platform/clock.ts";
import type { NodeKeys } from "../protocol/node_keys.ts";
import type { ControlPlaneTicket, Ticket } from "./ticket.ts";

/** Makes this node a control plane. */
export interface ControlPlaneMaker extends Pick<ControlPlaneJoin, "run" | "isVoter" | "resume"> {
  /** Checks, before the lock, what a control plane needs in addition to a worker. Returns the failed checks. */
  preflight(ticket: Ticket, signal: AbortSignal): Promise<readonly FailedCheck[]>;
  /** Checks again what the last {@linkcode preflight} checked, without the cluster. Default: nothing is known. */
  checkAgain?(signal: AbortSignal): Promise<readonly FailedCheck[]>;
  /** Whether everything that comes with the ticket is on this node. */
  hasKeys(): Promise<boolean>;
  /** Installs the cluster's keys, and the state of this node's join service, which is not started yet. */
  installKeys(ticket: ControlPlaneTicket): Promise<void>;
  /**
   * Does work while this machine's API server, if it serves, refuses the nodes that the cluster refuses. The join service
   * does that once it is started.
   */
  keepCutList(work: () => Promise<void>, signal: AbortSignal): Promise<void>;
  /** Starts this node's join service. */
  startJoinService(): Promise<void>;
}

/** The kubelet of this node, as far as a join needs it. */
export interface NodeKubelet {
  /** Whether the kubelet has its configuration, and certificates that have not ended. */
  hasJoined(): Promise<boolean>;
  /** Installs the ticket's certificates for the kubelet, and its kubeconfig. May be repeated. */
  installCertificates(ticket: Ticket, keys: NodeKeys): Promise<void>;
  /** Makes the kubelet start at every boot. */
  enable(): Promise<void>;
  /** Starts the kubelet, now and at every boot. It may already be running. */
  start(): Promise<void>;
  /** Waits until the kubelet is healthy. */
  waitUntilHealthy(signal: AbortSignal): Promise<void>;
  /** Waits until this Node is registered with the cluster. */
  waitUntilRegistered(signal: AbortSignal): Promise<void>;
}

/** The dependencies of a join's steps. */
export interface Joining {
  /**
   * Returns the current ticket, or a fresh one of the cluster that the lock names. The kubelet has its certificates
   * then.
   */
  obtainTicket(): Promise<Ticket>;
  /** The facts about this node that kubeadm is told. */
  facts(): JoinFacts;
  readonly kubeadm: Pick<Kubeadm, "join">;
  readonly kubelet: NodeKubelet;
  readonly controlPlane: ControlPlaneMaker;
  /** Records what kubeadm reports, and knows which steps are done. */
  readonly journal: Pick<Journal, "detail" | "doneAt">;
  readonly clock: Clock;
  /** Ends a step. */
  readonly signal: AbortSignal;
}

/** Longer than kubeadm's own waits. */
export const KUBEADM_JOIN_DEADLINE_MS: number = 25 * 60_000;

/** The last steps of every join: the kubelet works for the cluster. */
export const MEMBER_STEPS: Sequence<Joining> = Object.freeze({
  "kubelet-healthy": {
    run: async ({ kubelet, signal }) => {
      await kubelet.start();
      await kubelet.waitUntilHealthy(signal);
    },
  },
  "node-registered": { run: ({ kubelet, signal }) => kubelet.waitUntilRegistered(signal) },
});
