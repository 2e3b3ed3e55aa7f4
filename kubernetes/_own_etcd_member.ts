import { join } from "node:path";
import { hex, randomBytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { exists, removeIfExists, syncFolder } from "../platform/files.ts";
import { hostAndPort } from "../platform/host.ts";
import { present } from "../platform/present.ts";
import { pollUntil } from "./_poll.ts";
import { isWholeManifest } from "./_torn_files.ts";
import type { NodeFacts } from "./documents.ts";
import { checkCanRemove, type EtcdCluster, type EtcdMember } from "./etcd.ts";

/** The dependencies of {@linkcode settleOwnMember}. */
export interface OwnMemberParts {
  /** The cluster, reached at a member that answers. */
  readonly etcd: Pick<EtcdCluster, "members" | "health" | "remove">;
  readonly node: NodeFacts;
  /** etcd's data folder, such as `/var/lib/etcd`. */
  readonly etcdFolder: string;
  /** The path of the static Pod's manifest. */
  readonly manifest: string;
  /** Whether a process accepts connections at an address of this machine. */
  readonly isListening: (address: string, port: number) => Promise<boolean>;
  readonly clock: Clock;
  /** Ends the wait for the old process early. */
  readonly signal?: AbortSignal;
}

/** The ports of kubeadm's etcd (`EtcdListenClientPort` and `EtcdListenPeerPort` in its constants). */
const CLIENT_PORT = 2379;
const PEER_PORT = 2380;
/** kubeadm gives a static Pod 30 s to stop; a slow machine needs longer to notice. */
const STOP_DEADLINE_MS = 120_000;

/**
 * Brings this node's etcd member to a state from which kubeadm's phase can continue.
 *
 * @returns `member` if the node is a voter with its data and manifest: nothing is left to do. `joining` if kubeadm
 *   should continue with the existing member. `absent` if neither a member nor any data is left.
 * @throws {BootstrapError} `conflict/etcd-member` if another node's member has this node's address, or if a healthy
 *   member elsewhere has this node's name, which then has a new owner; `timeout/etcd` if the old process does not end;
 *   and the errors of the cluster.
 */
export async function settleOwnMember(parts: OwnMemberParts): Promise<"member" | "joining" | "absent"> {
  const { etcd, node, etcdFolder, manifest } = parts;
  const peerUrl = peerUrlOf(node);
  const own = (await etcd.members()).filter(({ name, peerUrls }) => name === node.name || peerUrls.includes(peerUrl));
  const foreign = own.find(({ name }) => name !== "" && name !== node.name);
  if (foreign !== undefined) throw addressTaken(foreign, peerUrl);
  const [member, ...others] = own;
  const hasManifest = await isWholeManifest(manifest);
  if (member !== undefined && isAt(member, node) && others.length === 0 && await hasData(etcdFolder)) {
    if (!member.isLearner) return hasManifest ? "member" : "joining";
    // Under load kubeadm times out sooner than etcd. Then only the promotion is missing.
    if (hasManifest && await parts.isListening(node.address, CLIENT_PORT)) return "joining";
  }
  const elsewhere = own.find(({ peerUrls }) => !peerUrls.includes(peerUrl));
  if (elsewhere !== undefined && (await etcd.health()).healthy.has(elsewhere.id)) throw nameTaken(elsewhere, peerUrl);
  // In this order a power cut at any time cannot restart a removed member's data: the manifest is removed first.
  await removeIfExists(manifest);
  await stopped(parts);
  for (const { id } of own) {
    checkCanRemove(await etcd.health(), id);
    await etcd.remove(id);
  }
  await wipe(etcdFolder);
  return "absent";
}

/** Whether this node is a voter in etcd at its address, with its data on this machine. */
export async function isOwnVoter({ etcd, node, etcdFolder }: Pick<OwnMemberParts, "node" | "etcdFolder"> & {
  readonly etcd: Pick<EtcdCluster, "members">;
}): Promise<boolean> {
  const isVoter = (await etcd.members()).some((member) => !member.isLearner && isAt(member, node));
  return isVoter && await hasData(etcdFolder);
}

function peerUrlOf({ address }: NodeFacts): string {
  return `https://${hostAndPort(address, PEER_PORT)}`;
}

function isAt({ name, peerUrls }: EtcdMember, node: NodeFacts): boolean {
  return name === node.name && peerUrls.includes(peerUrlOf(node));
}

async function hasData(etcdFolder: string): Promise<boolean> {
  return await exists(join(etcdFolder, "member", "wal")) && await exists(join(etcdFolder, "member", "snap"));
}

async function stopped({ isListening, node, clock, signal }: OwnMemberParts): Promise<void> {
  await pollUntil(async () => {
    for (const port of [CLIENT_PORT, PEER_PORT]) if (await isListening(node.address, port)) return undefined;
    return true;
  }, {
    clock,
    deadlineMs: STOP_DEADLINE_MS,
    firstMs: 50,
    longestMs: 1_000,
    code: "timeout/etcd",
    failure: "The etcd process of an earlier attempt did not end",
    next: "Look at the kubelet's log: journalctl -u kubelet",
    ...present("signal", signal),
  });
}

/** Deletes the data. It is renamed first, so that no partial data remains under its name. */
async function wipe(etcdFolder: string): Promise<void> {
  if (!await exists(etcdFolder)) return;
  const data = join(etcdFolder, "member");
  if (await exists(data)) {
    await Deno.rename(data, join(etcdFolder, `removed-${hex(randomBytes(8))}`));
    await syncFolder(etcdFolder);
  }
  for await (const { name } of Deno.readDir(etcdFolder)) {
    if (/^removed-[0-9a-f]{16}$/.test(name)) await Deno.remove(join(etcdFolder, name), { recursive: true });
  }
}

function nameTaken({ id, name, peerUrls }: EtcdMember, peerUrl: string): BootstrapError {
  const message = `The member ${name} of etcd is healthy at ${peerUrls}, not at this node's ${peerUrl}`;
  return new BootstrapError("conflict/etcd-member", message, {
    details: { member: name, id, peerUrl },
    next: "This machine's name was given to another: reset this one with `bootstrapper reset --force`, or power it off",
  });
}

function addressTaken({ id, name }: EtcdMember, peerUrl: string): BootstrapError {
  return new BootstrapError("conflict/etcd-member", `The member ${name} of etcd has this node's address ${peerUrl}`, {
    details: { member: name, id, peerUrl },
    next: `If ${name} is gone for good, remove it from the cluster: bootstrapper node remove ${name}`,
  });
}
