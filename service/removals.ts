/**
 * The join service's part of removals: it removes the etcd members of nodes that an operator takes out of the cluster.
 *
 * @module
 */
import type { EtcdHealth, EtcdMember } from "../kubernetes/etcd_health.ts";
import { checkCanRemove } from "../kubernetes/etcd_health.ts";
import type { RemovalAnswer, RemovalApi, StoredRemoval } from "../kubernetes/removal_requests.ts";
import { RemovalRequests } from "../kubernetes/removal_requests.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError, errorFamily, hasCode } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";

/** etcd, as far as removals need it. */
export interface RemovalEtcd {
  /** Returns the members, and which of them are healthy. */
  health(): Promise<EtcdHealth>;
  /** Removes a member; returns `false` if it was gone. */
  remove(id: string): Promise<boolean>;
}

/** What {@linkcode runRemovals} works with. */
export interface RemovalsDependencies {
  /** The API server, with the join service's rights. */
  readonly api: RemovalApi;
  readonly etcd: RemovalEtcd;
  readonly clock: Clock;
  /** Records each outcome. */
  readonly log: Log;
  /** Numbers from 0 to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/** An operator waits at a terminal. A look is one list by label, nearly always empty. */
const POLL_MS = 3_000;
/** The longest time between two looks while the API server or etcd does not answer. */
const LONGEST_POLL_MS = 30_000;
/** How far the time between two looks may vary, as a fraction: several join services look at the same requests. */
const JITTER = 0.3;
/**
 * The most members removed in one look. A node has one member, and at most one more that never started; the rest waits
 * for the next look.
 */
const MOST_MEMBERS = 4;

/** Answers requests until the signal, and then returns. It never throws: failures are logged and retried. */
export async function runRemovals(deps: RemovalsDependencies, signal: AbortSignal): Promise<void> {
  const { clock, random = Math.random } = deps;
  const asked: AskedRemovals = new Set();
  for (let pollMs = POLL_MS; !signal.aborted;) {
    pollMs = await serveWaiting(deps, asked, signal) ? POLL_MS : Math.min(2 * pollMs, LONGEST_POLL_MS);
    await clock.sleep(pollMs * (1 + JITTER * (2 * random() - 1)), signal).catch(() => {});
  }
}

/**
 * UIDs of requests for which etcd was asked to remove a member. The member may be gone although etcd's answer was lost,
 * or although the answer to the operator could not be written. A later look then finds no member, and yet it was
 * removed.
 */
type AskedRemovals = Set<string>;

/** Answers the waiting requests, and returns whether all could be answered. */
async function serveWaiting(deps: RemovalsDependencies, asked: AskedRemovals, signal: AbortSignal): Promise<boolean> {
  const requests = new RemovalRequests(deps.api);
  try {
    const waiting = await requests.listWaiting();
    for (const uid of asked) if (!waiting.some((stored) => stored.uid === uid)) asked.delete(uid);
    for (const stored of waiting) {
      if (signal.aborted) break;
      // A worker has no member: the operator does not wait.
      if (stored.request.role === "control-plane") await serve(deps, requests, asked, stored);
    }
    return true;
  } catch (error) {
    deps.log.event("warn", "removals-not-served", errorFields(asBootstrapError(error)));
    return false;
  }
}

async function serve(
  { etcd, log }: RemovalsDependencies,
  requests: RemovalRequests,
  asked: AskedRemovals,
  stored: StoredRemoval,
): Promise<void> {
  const { nodeName, identity } = stored.request;
  const answer = await removeMembers(etcd, requests, asked, stored);
  if (answer === undefined) return;
  try {
    await requests.answer(stored, answer);
  } catch (error) {
    // Another join service has answered, or the operator has withdrawn the request.
    if (hasCode(error, "conflict/changed", "precondition/not-found")) return;
    throw error;
  }
  const level = answer.state === "refused" ? "warn" : "info";
  log.event(level, "removal-answered", { node: nodeName, identity, ...answer });
}

/** Removes the members of one node. Returns `undefined` if the request was dealt with elsewhere meanwhile. */
async function removeMembers(
  etcd: RemovalEtcd,
  requests: RemovalRequests,
  asked: AskedRemovals,
  stored: StoredRemoval,
): Promise<RemovalAnswer | undefined> {
  for (let count = 0; count < MOST_MEMBERS; count++) {
    const health = await etcd.health();
    const member = health.members.find((candidate) => isMemberOf(candidate, stored));
    if (member === undefined) {
      if (!health.leaderless) return { state: asked.has(stored.uid) ? "removed" : "absent" };
      throw new BootstrapError("unavailable/etcd", "etcd has no leader, so its members are unknown");
    }
    // The member was there while the request stood, so it is not one that got the freed name since.
    const current = await requests.find(stored.request.nodeName);
    if (current?.uid !== stored.uid || current.answer !== undefined) return undefined;
    try {
      checkCanRemove(health, member.id);
      asked.add(stored.uid);
      await etcd.remove(member.id);
    } catch (cause) {
      const error = asBootstrapError(cause);
      if (errorFamily(error.code) !== "precondition") throw error;
      asked.delete(stored.uid);
      return { state: "refused", code: error.code, message: error.message, next: error.next };
    }
  }
  return undefined;
}

/** Whether a member belongs to the node: by its name or, if it never started and has no name, by its address. */
function isMemberOf({ name, peerUrls }: EtcdMember, { request }: StoredRemoval): boolean {
  if (name !== "") return name === request.nodeName;
  return peerUrls.some((url) => request.addresses.includes(hostOf(url)));
}

/** The host of a URL, without the brackets of an IPv6 address. */
function hostOf(url: string): string {
  return URL.parse(url)?.hostname.replace(/^\[(.*)\]$/, "$1") ?? "";
}
