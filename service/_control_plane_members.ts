import { checkCanGrow, checkCanRemove, labelOf } from "../kubernetes/etcd_health.ts";
import type { EtcdHealth, EtcdMember } from "../kubernetes/etcd_health.ts";
import { BootstrapError } from "../platform/errors.ts";
import { urlHost } from "../platform/host.ts";
import { type QueuedNode, RETRY_AFTER_SECONDS } from "./_control_plane_slot.ts";

/** kubeadm adds a member by its peer URL alone. The member has no name before it has started. */
function hasStarted(member: EtcdMember): boolean {
  return member.name !== "";
}

function isAt(member: EtcdMember, address: string): boolean {
  const host = URL.parse(`https://${urlHost(address)}`)?.hostname;
  return member.peerUrls.some((url) => host !== undefined && URL.parse(url)?.hostname === host);
}

/** Whether a member belongs to a node: by its name or, until it has one, by its address. */
export function isMemberOf(member: EtcdMember, node: QueuedNode): boolean {
  return hasStarted(member) ? member.name === node.nodeName : isAt(member, node.address);
}

function removal({ name, id }: Pick<EtcdMember, "name" | "id">): string {
  return name === ""
    ? `have an operator remove the member ${id} from etcd`
    : `have an operator run \`bootstrapper node remove ${name}\``;
}

/**
 * Refuses a node that would take the place of another node's member.
 *
 * @param ownerOf The identity that is admitted under a name.
 * @throws {BootstrapError} `conflict/etcd-member`.
 */
export async function checkMembers(
  { members, healthy }: EtcdHealth,
  node: QueuedNode,
  ownerOf: (nodeName: string) => Promise<string | undefined>,
): Promise<void> {
  const { nodeName, address, identity } = node;
  const refuse = (member: EtcdMember, message: string, owner: string) => {
    throw new BootstrapError("conflict/etcd-member", message, {
      next: `Give this machine a name and an address of its own; or, if ${member.name} is gone for good, ${
        removal(member)
      }`,
      details: { member: member.name, id: member.id, node: nodeName, expected: owner, seen: identity },
    });
  };
  for (const member of members.filter(hasStarted)) {
    if (member.name === nodeName) {
      const owner = await ownerOf(nodeName);
      if (owner !== identity) {
        const whose = owner === undefined ? "without an admission record" : `of the identity ${owner}`;
        refuse(member, `etcd has a member ${nodeName} ${whose}; ${identity} cannot take its place`, owner ?? "none");
      }
      if (healthy.has(member.id) && !isAt(member, address)) {
        refuse(
          member,
          `The etcd member ${nodeName} is well at ${member.peerUrls}, not at ${address}`,
          "another machine",
        );
      }
    } else if (isAt(member, address)) {
      refuse(member, `The address ${address} of ${nodeName} is that of the etcd member ${member.name}`, member.name);
    }
  }
}

/** Whether the holder of the slot has become a healthy voting member, and no learner is left. */
export function isPromoted({ members, healthy, leaderless }: EtcdHealth, holder: QueuedNode): boolean {
  if (leaderless || members.some(({ isLearner }) => isLearner)) return false;
  // A machine that was built anew still has its dead voter in etcd until it has removed that voter.
  return members.some((member) => hasStarted(member) && isMemberOf(member, holder) && healthy.has(member.id));
}

/** What a holder whose time is over left half-done: a learner, or a voter that never started. */
export function leftoversOf({ members }: EtcdHealth, holder: QueuedNode): EtcdMember[] {
  return members.filter((member) => (member.isLearner || !hasStarted(member)) && isMemberOf(member, holder));
}

/**
 * Removes what a holder left. A learner has no vote, so removing it never costs a quorum. The removal of a voter must
 * leave a quorum.
 *
 * @throws {BootstrapError} `unavailable/etcd-quorum`, and what `remove` throws, if it is retriable.
 */
export async function removeLeftover(
  health: EtcdHealth,
  member: EtcdMember,
  { nodeName: name }: QueuedNode,
  remove: (id: string) => Promise<unknown>,
): Promise<void> {
  try {
    checkCanRemove(health, member.id);
    await remove(member.id);
  } catch (cause) {
    if (cause instanceof BootstrapError && cause.retriable) throw cause;
    const what = member.isLearner ? "a learner" : "a voting member that never started";
    const message = `The join of ${name} ended and left ${what} in etcd, which cannot remove it now`;
    throw new BootstrapError("unavailable/etcd-quorum", message, {
      cause,
      next: `Bring back the members of etcd that are down; or ${removal({ name, id: member.id })}`,
      details: { member: labelOf(member), id: member.id },
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }
}

/**
 * Checks that etcd can take a node as its next member. The node itself removes what it left there.
 *
 * @throws {BootstrapError} `unavailable/etcd-learner`, `unavailable/etcd-quorum`.
 */
export function checkCanJoin(health: EtcdHealth, node: QueuedNode): void {
  const others = health.members.filter((member) => !isMemberOf(member, node));
  const learner = others.find(({ isLearner }) => isLearner);
  if (learner !== undefined) {
    const label = labelOf(learner);
    throw new BootstrapError("unavailable/etcd-learner", `etcd has the learner ${label}, and takes one at a time`, {
      next: `Wait while ${label} is joining; if it is gone for good, ${removal(learner)}`,
      details: { member: label, id: learner.id },
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }
  const votes = (member: EtcdMember) => !member.isLearner && health.healthy.has(member.id);
  const isVoter = health.members.some((member) => isMemberOf(member, node) && votes(member));
  if (health.leaderless || !isVoter) checkCanGrow({ ...health, members: others });
}
