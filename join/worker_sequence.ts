/**
 * What a node does after it is locked for a join as a worker. Each step may be done again.
 *
 * | step | |
 * |---|---|
 * | `kubeadm-join` | with the ticket; a fresh one where it was not enough |
 * | `kubelet-healthy` | the kubelet runs |
 * | `node-registered` | the cluster has the Node |
 *
 * @module
 */
import type { Journal } from "../journal/journal.ts";
import type { Sequence } from "../journal/sequence.ts";
import { joinDocument } from "../kubernetes/documents.ts";
import type { JoinFacts } from "../kubernetes/documents.ts";
import type { Kubeadm } from "../kubernetes/kubeadm.ts";
import type { Clock } from "../platform/clock.ts";
import type { ControlPlaneMaker } from "./control_plane_sequence.ts";
import type { Ticket } from "./ticket.ts";

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

/** The steps of a worker's join after its lock. */
export const WORKER_SEQUENCE: Sequence<Joining> = Object.freeze({
  "kubeadm-join": {
    holds: ({ kubelet }) => kubelet.hasJoined(),
    run: async ({ kubelet, kubeadm, obtainTicket, facts, journal, signal }) => {
      if (!await kubelet.hasJoined()) await obtainTicket();
      await kubeadm.join(joinDocument(facts()), {
        ...{ deadlineMs: KUBEADM_JOIN_DEADLINE_MS, signal },
        onProgress: ({ phase, detail }) => journal.detail("kubeadm-join", `${phase}: ${detail}`),
      });
    },
  },
  ...MEMBER_STEPS,
});
