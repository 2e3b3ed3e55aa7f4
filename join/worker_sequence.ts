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
import type { Sequence } from "../journal/sequence.ts";
import { joinDocument } from "../kubernetes/documents.ts";
import type { Joining } from "./joining.ts";
import { KUBEADM_JOIN_DEADLINE_MS, MEMBER_STEPS } from "./joining.ts";

/** The steps of a worker's join after its lock. */
export const WORKER_SEQUENCE: Sequence<Joining> = Object.freeze({
  "kubeadm-join": {
    holds: ({ kubelet }) => kubelet.hasJoined(),
    run: async ({ kubelet, kubeadm, obtainTicket, facts, journal, signal }) => {
      if (!await kubelet.hasJoined()) await obtainTicket();
      await kubeadm.join(joinDocument(facts()), {
        deadlineMs: KUBEADM_JOIN_DEADLINE_MS,
        signal,
        onProgress: ({ phase, detail }) => journal.detail("kubeadm-join", `${phase}: ${detail}`),
      });
    },
  },
  ...MEMBER_STEPS,
});
