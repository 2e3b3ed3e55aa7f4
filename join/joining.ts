/**
 * What the steps of a join work with, and the last steps of every join.
 *
 * @module
 */
import type { Journal } from "../journal/journal.ts";
import type { Sequence } from "../journal/sequence.ts";
import type { ControlPlaneJoin } from "../kubernetes/control_plane_join.ts";
import type { JoinFacts } from "../kubernetes/documents.ts";
import type { FailedCheck, Kubeadm } from "../kubernetes/kubeadm.ts";
import type { Clock } from "../platform/clock.ts";
import type { ControlPlaneTicket, Ticket } from "./ticket.ts";

/** What makes this node a control plane. */
export interface ControlPlaneMaker extends Pick<ControlPlaneJoin, "run" | "isVoter" | "resume"> {
  /** Checks before the lock what a control plane needs beside a worker; gives what does not hold. */
  preflight(ticket: Ticket, signal: AbortSignal): Promise<readonly FailedCheck[]>;
  /** Whether all that comes with the ticket is on this node. */
  hasKeys(): Promise<boolean>;
  /** Puts it there: the cluster's keys, and the state of this node's join service, which is not started yet. */
  installKeys(ticket: ControlPlaneTicket): Promise<void>;
  /** Starts this node's join service. */
  startJoinService(): Promise<void>;
}

/** The kubelet of this node, as far as a join goes. */
export interface NodeKubelet {
  /** Whether it has its configuration and credentials of its own. */
  hasJoined(): Promise<boolean>;
  /** Has it started at every boot. */
  enable(): Promise<void>;
  /** Has it started, now and at every boot; it may run already. */
  start(): Promise<void>;
  /** Waits until it is healthy. */
  waitUntilHealthy(signal: AbortSignal): Promise<void>;
  /** Waits until the cluster has this Node. */
  waitUntilRegistered(signal: AbortSignal): Promise<void>;
}

/** What the steps of a join work with. */
export interface Joining {
  /** The ticket at hand, or a fresh one of the cluster that the lock names. */
  obtainTicket(): Promise<Ticket>;
  /** What kubeadm is told of this node. */
  facts(): JoinFacts;
  /** kubeadm on this node. */
  readonly kubeadm: Pick<Kubeadm, "join">;
  /** The kubelet of this node. */
  readonly kubelet: NodeKubelet;
  /** Makes this node a control plane. */
  readonly controlPlane: ControlPlaneMaker;
  /** Hears what kubeadm says of its work, and knows what is done. */
  readonly journal: Pick<Journal, "detail" | "doneAt">;
  /** Time. */
  readonly clock: Clock;
  /** Ends a step. */
  readonly signal: AbortSignal;
}

/** Longer than the waits of kubeadm inside it. */
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
