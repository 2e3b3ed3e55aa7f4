/**
 * What a node does after it is locked for a join as a control plane. Each step can be repeated.
 *
 * | step | |
 * |---|---|
 * | `cluster-keys` | stores what only memory held: the keys, where kubeadm expects them, and the join service's state |
 * | `kubeadm-prepare`, `kubeadm-etcd`, `kubeadm-finish` | see `kubernetes/control_plane_join.ts` |
 * | `join-service` | starts this node's own join service |
 * | `kubelet-healthy`, `node-registered` | as for a worker |
 *
 * @module
 */
import type { Sequence, Step } from "../journal/sequence.ts";
import { CONTROL_PLANE_JOIN_PHASES } from "../kubernetes/control_plane_join.ts";
import type { ControlPlaneJoinPhase } from "../kubernetes/control_plane_join.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { BackOff } from "../platform/retry.ts";
import { retry } from "../platform/retry.ts";
import { wipeKit } from "../protocol/control_plane_kit.ts";
import type { ControlPlaneTicket, Ticket } from "./ticket.ts";
import type { Joining } from "./joining.ts";
import { KUBEADM_JOIN_DEADLINE_MS, MEMBER_STEPS } from "./joining.ts";

/** etcd answers late while other members start or are removed. Each try of its step already waits for some minutes. */
const MAXIMUM_ETCD_TRIES = 5;
const ETCD_BACK_OFF: BackOff = Object.freeze({ firstMs: 5_000, factor: 2, longestMs: 20_000, jitter: 0.2 });
/** For `systemctl start`. */
const RESUME_DEADLINE_MS = 120_000;

/** The steps of a control plane's join after its lock. */
export const CONTROL_PLANE_SEQUENCE: Sequence<Joining> = Object.freeze({
  "cluster-keys": {
    holds: ({ controlPlane }) => controlPlane.hasKeys(),
    run: async ({ controlPlane, obtainTicket }) => {
      const ticket = withKit(await obtainTicket());
      try {
        await controlPlane.installKeys(ticket);
      } finally {
        wipeKit(ticket.kit);
      }
    },
  },
  ...Object.fromEntries(CONTROL_PLANE_JOIN_PHASES.map(({ name }) => [stepOf(name), kubeadmStep(name)])),
  "join-service": { run: ({ controlPlane }) => controlPlane.startJoinService() },
  ...MEMBER_STEPS,
});

function stepOf(phase: ControlPlaneJoinPhase["name"]): string {
  return `kubeadm-${phase}`;
}

/**
 * Until the last of kubeadm's steps is done, all of them are repeated. Each finds out by itself what is there already.
 */
function kubeadmStep(phase: ControlPlaneJoinPhase["name"]): Step<Joining> {
  const holds = ({ journal }: Joining) => Promise.resolve(journal.doneAt(stepOf("finish")) !== undefined);
  switch (phase) {
    case "prepare":
      return { holds, run: prepare };
    case "etcd":
      return { holds, run: joinEtcd };
    case "finish":
      return { run: finish };
  }
}

/**
 * A kubelet that has joined needs no ticket. A kubelet that only seems to have joined needs one.
 *
 * The kubelet is enabled, and restarted if it ran before, before the node asks for a ticket. Once this node's etcd has
 * a vote, the kubelet must run, and must come back by itself after a power cut. Without it, etcd may have no quorum.
 * Then there is no API server, and no ticket for the node that waits for one.
 */
async function prepare(joining: Joining): Promise<void> {
  const { kubelet, controlPlane, obtainTicket, signal } = joining;
  await kubelet.enable();
  await controlPlane.resume({ deadlineMs: RESUME_DEADLINE_MS, signal });
  if (await kubelet.hasJoined()) {
    try {
      return await runPhase(joining, "prepare");
    } catch (error) {
      signal.throwIfAborted();
      joining.journal.detail(stepOf("prepare"), `again, with a ticket: ${asBootstrapError(error).message}`);
    }
  }
  forget(await obtainTicket());
  await runPhase(joining, "prepare");
}

/**
 * This step alone retries etcd's own failures.
 *
 * A node that is not a voter needs a ticket, whether or not kubeadm needs one. The node may have been removed while it
 * was away, and its name given to another node. It would then remove the other node's member in order to add its own.
 */
function joinEtcd(joining: Joining): Promise<void> {
  const { controlPlane, facts, obtainTicket, journal, clock, signal } = joining;
  return retry(async () => {
    if (!await controlPlane.isVoter(facts())) forget(await obtainTicket());
    await controlPlane.keepCutList(() => runPhase(joining, "etcd"), signal);
  }, {
    clock,
    random: Math.random,
    signal,
    backOff: ETCD_BACK_OFF,
    maximumTries: MAXIMUM_ETCD_TRIES,
    onFailedTry: ({ error }) => journal.detail(stepOf("etcd"), `again, after: ${error.message}`),
  });
}

/**
 * kubeadm labels the Node here, and gives up where it is late. The kubelet registers it with the API server of this
 * machine, which follows this machine's etcd. That may take minutes, in which this API server serves all nodes.
 */
function finish(joining: Joining): Promise<void> {
  const { controlPlane, kubelet, journal, signal } = joining;
  return controlPlane.keepCutList(async () => {
    journal.detail(stepOf("finish"), "waiting until the kubelet has registered the Node");
    await kubelet.waitUntilRegistered(signal);
    await runPhase(joining, "finish");
  }, signal);
}

function runPhase(
  { controlPlane, facts, journal, signal }: Joining,
  phase: ControlPlaneJoinPhase["name"],
): Promise<void> {
  return controlPlane.run(phase, facts(), {
    deadlineMs: KUBEADM_JOIN_DEADLINE_MS,
    signal,
    onProgress: ({ phase: part, detail }) => journal.detail(stepOf(phase), `${part}: ${detail}`),
  });
}

/** Wipes the keys of a ticket: they are on this node already. */
function forget({ kit }: Ticket): void {
  if (kit !== undefined) wipeKit(kit);
}

function withKit(ticket: Ticket): ControlPlaneTicket {
  const { kit } = ticket;
  if (kit !== undefined) return { ...ticket, kit };
  throw new BootstrapError("internal/ticket", "A control plane was given the ticket of a worker");
}
