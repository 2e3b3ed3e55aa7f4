/**
 * What a node does after it is locked for a join as a worker. Each step can be repeated.
 *
 * | step | |
 * |---|---|
 * | `kubeadm-join` | installs the kubelet's certificates, and joins with the ticket, or with a fresh one if that did not suffice |
 * | `kubelet-healthy` | starts the kubelet, and waits until it is healthy |
 * | `node-registered` | waits until the cluster has the Node |
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
