/**
 * The members of the etcd cluster, their health, and the membership changes that it permits.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";

/** A member of the etcd cluster. */
export interface EtcdMember {
  /** The ID, 16 lower-case hexadecimal digits. etcdctl omits leading zeros. */
  readonly id: string;
  /** The name; empty until the member has started for the first time. */
  readonly name: string;
  /** The URLs for other members, such as `https://host:port`. */
  readonly peerUrls: readonly string[];
  /** The URLs for clients, such as `https://host:port`; none until the member has started for the first time. */
  readonly clientUrls: readonly string[];
  /** Whether the member has no vote yet. */
  readonly isLearner: boolean;
}

/** The state of an etcd cluster at one moment. */
export interface EtcdHealth {
  /** Voters and learners. */
  readonly members: readonly EtcdMember[];
  /** The IDs of the voters that answered a linearizable read themselves; without a leader, any read. */
  readonly healthy: ReadonlySet<string>;
  /**
   * Whether no linearizable read was answered, for lack of a leader or quorum. Then `members` is the memory of one
   * member.
   */
  readonly leaderless: boolean;
}

const LOOK_AT_ETCD = "Bring the members that do not answer back, or remove those that are gone for good";

/** The number of voters that must agree. */
function quorumOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

function votersOf(health: EtcdHealth): readonly EtcdMember[] {
  return health.members.filter(({ isLearner }) => !isLearner);
}

/** The name of a member for people; its address if it has no name yet. */
export function labelOf(member: EtcdMember): string {
  return member.name || member.peerUrls[0] || member.id;
}

function factsOf(health: EtcdHealth, needed: number): Record<string, string> {
  const voters = votersOf(health);
  const silent = voters.filter(({ id }) => !health.healthy.has(id));
  return {
    voters: String(voters.length),
    healthy: String(voters.length - silent.length),
    needed: String(needed),
    ...(silent.length === 0
      ? {}
      : { unhealthy: silent.map((member) => `${labelOf(member)} (${member.id})`).join(", ") }),
  };
}

/**
 * Checks that one more member may be added.
 *
 * All voters must be healthy. etcd itself refuses to add a member, learner or voter, while a voter is not connected
 * (`--strict-reconfig-check`, on by default: `mayAddMember` in `server/etcdserver/server.go`, etcd 3.6), because the
 * new member raises the quorum before it can vote. The check ignores existing learners.
 *
 * @throws {BootstrapError} `unavailable/etcd-quorum` (retriable).
 */
export function checkCanGrow(health: EtcdHealth): void {
  const voters = votersOf(health);
  const healthy = voters.filter(({ id }) => health.healthy.has(id)).length;
  if (!health.leaderless && voters.length > 0 && healthy === voters.length) return;
  throw new BootstrapError(
    "unavailable/etcd-quorum",
    health.leaderless
      ? "etcd has no leader, so no member can be added"
      : `Only ${healthy} of ${voters.length} voting members of etcd are healthy, so no member can be added`,
    { details: factsOf(health, Math.max(1, voters.length)), next: LOOK_AT_ETCD },
  );
}

/**
 * Checks that a member may be removed. etcd must have a quorum to decide the removal, and the remaining voters must
 * have one among themselves (`mayRemoveMember` in `server/etcdserver/server.go`, etcd 3.6). Removing a member that does
 * not exist is allowed.
 *
 * @param id The member's ID, as in {@linkcode EtcdMember.id}.
 * @throws {BootstrapError} `precondition/etcd-quorum`.
 */
export function checkCanRemove(health: EtcdHealth, id: string): void {
  const member = health.members.find((candidate) => candidate.id === id);
  if (member === undefined) return;
  const voters = votersOf(health);
  const healthy = voters.filter((voter) => health.healthy.has(voter.id));
  const refuse = (message: string, needed: number) => {
    throw new BootstrapError("precondition/etcd-quorum", message, {
      details: { ...factsOf(health, needed), member: labelOf(member), id },
      next: LOOK_AT_ETCD,
    });
  };
  if (!member.isLearner && voters.length === 1) {
    refuse(`${labelOf(member)} is the last voting member of etcd, so it cannot be removed`, 1);
  }
  const now = quorumOf(voters.length);
  if (health.leaderless || healthy.length < now) {
    refuse(`etcd has no quorum, so ${labelOf(member)} cannot be removed`, now);
  }
  if (member.isLearner) return;
  const after = quorumOf(voters.length - 1);
  const staying = healthy.filter((voter) => voter.id !== id).length;
  if (staying < after) {
    refuse(`Without ${labelOf(member)} etcd would lose its quorum, so it cannot be removed`, after);
  }
}
