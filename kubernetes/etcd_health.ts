/**
 * Who is in the etcd cluster, who of them is well, and which change of membership that allows.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";

/** A member of the etcd cluster. */
export interface EtcdMember {
  /** Its ID, 16 lower-case hexadecimal digits; etcdctl leaves leading zeros out. */
  readonly id: string;
  /** Its name; empty until it has started for the first time. */
  readonly name: string;
  /** Where the other members reach it, as `https://host:port`. */
  readonly peerUrls: readonly string[];
  /** Where clients reach it, as `https://host:port`; none until it has started for the first time. */
  readonly clientUrls: readonly string[];
  /** Whether it has no vote yet. */
  readonly isLearner: boolean;
}

/** The state of an etcd cluster at one moment. */
export interface EtcdHealth {
  /** All members, voters and learners. */
  readonly members: readonly EtcdMember[];
  /** The IDs of the voters that answered a linearizable read themselves; while there is no leader, any read. */
  readonly healthy: ReadonlySet<string>;
  /** Whether no linearizable read was answered, as there is no leader or no quorum; then `members` is what one member remembers. */
  readonly leaderless: boolean;
}

const LOOK_AT_ETCD = "Bring the members that do not answer back, or remove those that are gone for good";

/** How many of so many voters must agree. */
function quorumOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

function votersOf(health: EtcdHealth): readonly EtcdMember[] {
  return health.members.filter(({ isLearner }) => !isLearner);
}

/** How people know a member: by its name, or by its address while it has none. */
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
 * All voters must be healthy: etcd itself refuses to add a member, learner or voter, while one of them is not connected
 * (`--strict-reconfig-check`, on by default: `mayAddMember` in `server/etcdserver/server.go`, etcd 3.6), as the new
 * member raises the quorum before it can vote with the others. Whether there is a learner already is not looked at.
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
 * Checks that a member may be removed: etcd must have a quorum to decide it, and the voters that stay must have one
 * among themselves (`mayRemoveMember` in `server/etcdserver/server.go`, etcd 3.6). A member that is not there may be.
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
