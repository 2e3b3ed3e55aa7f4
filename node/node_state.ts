/**
 * The state of a node as it is now, from everything that its disk shows. The status document alone does not suffice: a
 * killed process leaves it as it was, a reset removes it, and a member may have ceased to be one.
 *
 * @module
 */
import type { LockRecord } from "../nodelock/record.ts";
import { isRunLockHeld } from "../nodelock/run_lock.ts";
import type { BootstrapError } from "../platform/errors.ts";
import { asBootstrapError } from "../platform/errors.ts";
import type { MachineIdentity, Membership } from "./membership.ts";
import { checkMembership, lockGone, readMembership } from "./membership.ts";
import type { NodePaths } from "./paths.ts";
import type { ResetMarker } from "./reset_marker.ts";
import { readResetMarker } from "./reset_marker.ts";
import type { NodePhase, NodeStatus } from "./status.ts";

/**
 * What a node is doing, or has come to: a phase of its status, or one that no process can write down about itself.
 *
 * - `fresh`: the bootstrapper has not run yet, or a reset has ended;
 * - `killed`: the process ended without a word, such as by `kill -9` or a power cut;
 * - `resetting`, `reset-interrupted`: a reset works on the node, or has begun and not ended;
 * - `locked`: the node has a lock, and nothing says more.
 */
export type NodeState = NodePhase | "fresh" | "killed" | "resetting" | "reset-interrupted" | "locked";

/** What is known of a node. */
export interface ObservedNode {
  readonly status: NodeStatus | undefined;
  readonly lock: LockRecord | undefined;
  /** Whether a process works on the node; `undefined` if that cannot be told. */
  readonly isAlive: boolean | undefined;
  readonly reset: ResetMarker | undefined;
  readonly membership: Membership | undefined;
  /** Why a membership that is recorded does not hold, or cannot be read. */
  readonly membershipError: BootstrapError | undefined;
}

/** The phases in which a process works. */
const BUSY: readonly NodePhase[] = ["starting", "detecting", "racing", "initialising", "joining", "leaving"];

/** Returns the state of a node. */
export function stateOf(node: ObservedNode): NodeState {
  const { status, lock, isAlive, reset, membership, membershipError } = node;
  if (reset !== undefined) return isAlive === true ? "resetting" : "reset-interrupted";
  if (status === undefined) {
    if (isAlive === true) return "starting";
    if (membershipError !== undefined) return "failed";
    if (membership !== undefined && lock !== undefined) return "member";
    return lock === undefined ? "fresh" : "locked";
  }
  const { phase } = status;
  if (BUSY.includes(phase)) return isAlive === false ? "killed" : phase;
  if (phase !== "member") return phase;
  return membership === undefined || lock === undefined || membershipError !== undefined ? "failed" : "member";
}

/** The part of {@linkcode ObservedNode} that is looked for beside status and lock. */
export type ObservedBesides = Pick<ObservedNode, "isAlive" | "reset" | "membership" | "membershipError">;

/**
 * Looks for what the status document does not say. It changes nothing, and needs no root; what only root may read is
 * left out.
 */
export async function observe(
  paths: Pick<NodePaths, "state" | "kubernetes" | "kubelet">,
  lock: LockRecord | undefined,
  machine: Pick<MachineIdentity, "machineId">,
): Promise<ObservedBesides> {
  const isAlive = await isRunLockHeld(paths.state);
  // A marker that cannot be read is still a reset that has not ended.
  const reset = await readResetMarker(paths.state).catch((): ResetMarker => ({ startedAt: "", etcdPeers: [] }));
  let membership: Membership | undefined;
  try {
    membership = await readMembership(paths.state);
    if (membership !== undefined && reset === undefined) {
      if (lock === undefined) throw lockGone();
      await checkMembership(paths, membership, lock, machine);
    }
  } catch (cause) {
    return { isAlive, reset, membership, membershipError: asBootstrapError(cause) };
  }
  return { isAlive, reset, membership, membershipError: undefined };
}
