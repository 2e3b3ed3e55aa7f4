/**
 * The operator's side of removing a node from the cluster, which frees its name for another machine.
 *
 * Its certificates are cut off first. When the API server refuses them, its Node and its Pods are deleted, and then its
 * name is free. The record of the identity stays, so that the machine is not admitted again.
 *
 * The operator has no access to etcd. A request asks the join services to remove the etcd member, and prevents tickets
 * for the name until everything is removed; the request is deleted last. The same or another operator may repeat every
 * step.
 *
 * @module
 */
import * as v from "valibot";
import { admissionGroup, epochGroup } from "../certificate/subjects.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { pollUntil } from "./_poll.ts";
import { unless } from "./_unless.ts";
import { listItems, type ObjectApi } from "./_api_objects.ts";
import { AdmissionRecords } from "./admission_records.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";
import { CUT_MARGIN_MS, CutEntries, type CutEntry } from "./cut_entries.ts";
import { currentEpoch } from "./epochs.ts";
import { createEvent, nodeTarget } from "./events.ts";
import { findNodeUid, findRecord, type NamedNode } from "./named_node.ts";
import { RemovalRequests, type StoredRemoval } from "./removal_requests.ts";

/** The part of the API that a removal needs. */
export interface RemovalApi extends ObjectApi {
  /** The API server's time in its last answer, milliseconds since 1970. */
  readonly serverTimeMs: number | undefined;
}

/** The dependencies of {@linkcode nodeRemovalSteps}. */
export interface NodeRemovalDependencies {
  /** The API server, called as an operator. */
  readonly api: RemovalApi;
  readonly clock: Clock;
  /** The time limit for a join service's answer, milliseconds. */
  readonly deadlineMs: number;
  /** Whether the machine may be admitted again. Default: no, until an operator deletes its record. */
  readonly mayReturn?: boolean;
  /** Ends the wait early. Another run continues the removal. */
  readonly signal?: AbortSignal;
}

/** A step of a removal. */
export interface NodeRemovalStep {
  readonly name: "request" | "etcd" | "cut" | "node" | "pods" | "records" | "end";
  /** A description for people. */
  readonly title: string;
  /** Runs the step, which may be repeated. Returns the result, for people. */
  readonly run: () => Promise<string>;
}

const podSchema = v.object({ metadata: v.object({ namespace: v.string(), name: v.string(), uid: v.string() }) });

const FIRST_POLL_MS = 200;
const LONGEST_POLL_MS = 2_000;
const DONE_BY_ANOTHER = "done by another operator";

/**
 * Returns the steps that remove a node, in order. If the removal is interrupted, it is continued from the first step.
 * If another operator has completed the removal in the meantime, the remaining steps do nothing.
 *
 * Steps throw {@linkcode BootstrapError}: `unavailable/removal` if no join service answers in time;
 * `unavailable/cut-list` if the API server accepts the node's certificates all the time; the join service's
 * refusal, such as `precondition/etcd-quorum`; `conflict/removal` if the name was given to another identity in the
 * meantime; and the errors of {@linkcode KubernetesApi}.
 */
export function nodeRemovalSteps(node: NamedNode, deps: NodeRemovalDependencies): readonly NodeRemovalStep[] {
  const removal = new Removal(node, deps);
  return [
    { name: "request", title: "keep the name from getting tickets", run: () => removal.request() },
    ...(node.role === "worker" ? [] : [
      { name: "etcd", title: "have a join service remove its etcd member", run: () => removal.leaveEtcd() } as const,
    ]),
    { name: "cut", title: "cut off its certificates", run: () => removal.ifStanding(() => removal.cut()) },
    { name: "node", title: "delete its Node", run: () => removal.ifStanding(() => removal.deleteNode()) },
    { name: "pods", title: "delete its Pods", run: () => removal.ifStanding(() => removal.deletePods()) },
    { name: "records", title: "release its name and addresses", run: () => removal.ifStanding(() => removal.forget()) },
    { name: "end", title: "withdraw the request", run: () => removal.complete() },
  ];
}

const nodePath = (nodeName: string) => `/api/v1/nodes/${nodeName}`;

const REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const reviewSchema = v.object({ status: v.object({ denied: v.optional(v.boolean(), false) }) });

/** Whether the API server denies a request with an admission's certificate. All else is at most not allowed. */
async function isDenied(api: RemovalApi, { nodeName, uid, epoch }: CutEntry): Promise<boolean> {
  const { status } = await api.create(REVIEWS, {
    spec: {
      user: `system:node:${nodeName}`,
      groups: ["system:nodes", "system:authenticated", admissionGroup(uid), epochGroup(epoch)],
      resourceAttributes: { verb: "get", resource: "nodes", name: nodeName },
    },
  }, reviewSchema);
  return status.denied;
}

class Removal {
  readonly #node: NamedNode;
  readonly #deps: NodeRemovalDependencies;
  readonly #requests: RemovalRequests;
  #stored: StoredRemoval | undefined;

  constructor(node: NamedNode, deps: NodeRemovalDependencies) {
    this.#node = node;
    this.#deps = deps;
    this.#requests = new RemovalRequests(deps.api);
  }

  async request(): Promise<string> {
    const { nodeName, role, identity, nodeUid, addresses } = this.#node;
    const requestedAt = this.#deps.clock.now().toISOString();
    const request = { nodeName, role, identity, nodeUid, addresses, requestedAt };
    const created = await unless("conflict/already-exists", () => this.#requests.create(request));
    if (created !== undefined) {
      this.#stored = created;
      await this.#checkUnchanged();
      return `ConfigMap removal-${nodeName} in ${BOOTSTRAPPER_NAMESPACE}`;
    }
    const found = await this.#requests.find(nodeName);
    if (found === undefined) throw this.#endedOtherwise();
    if (found.request.identity !== identity) throw this.#changedHands(found.request.identity);
    this.#stored = await this.#waiting(found);
    return `continues the request of ${found.request.requestedAt}`;
  }

  async leaveEtcd(): Promise<string> {
    const { nodeName } = this.#node;
    const answer = await pollUntil(async () => {
      const found = await this.#find();
      return found === undefined ? "ended" : found.answer;
    }, {
      clock: this.#deps.clock,
      deadlineMs: this.#deps.deadlineMs,
      ...present("signal", this.#deps.signal),
      firstMs: FIRST_POLL_MS,
      longestMs: LONGEST_POLL_MS,
      code: "unavailable/removal",
      failure: `No join service answered the request to remove the etcd member of ${nodeName}`,
      next: "Check a control plane that remains: `systemctl status bootstrapper-join-signer`, and whether etcd has a " +
        "quorum. The request remains: run the command again to continue, or delete the ConfigMap " +
        `removal-${nodeName} in ${BOOTSTRAPPER_NAMESPACE} to withdraw it`,
    });
    if (answer === "ended") return await this.#endedByAnother();
    if (answer.state !== "refused") return answer.state === "removed" ? "removed" : "already gone";
    // Nothing was done, so the name need not wait for another attempt.
    await this.end();
    const { code, message, next } = answer;
    throw new BootstrapError(code, message, { next, details: { node: nodeName } });
  }

  /** Runs the work only while the request exists. After it has ended, the name may already belong to another node. */
  async ifStanding(work: () => Promise<string>): Promise<string> {
    return await this.#find() === undefined ? await this.#endedByAnother() : await work();
  }

  async deleteNode(): Promise<string> {
    const { api } = this.#deps;
    const { nodeName } = this.#node;
    const uid = await findNodeUid(api, nodeName);
    const isDeleted = uid !== undefined && await api.remove(nodePath(nodeName), { uid });
    return isDeleted ? "deleted" : "there was none";
  }

  /** Deletes the Pods of the Node, which its kubelet cannot end any more. */
  async deletePods(): Promise<string> {
    const { api } = this.#deps;
    const selector = `fieldSelector=${encodeURIComponent(`spec.nodeName=${this.#node.nodeName}`)}`;
    const pods = await listItems(api, "/api/v1/pods", podSchema, selector);
    for (const { metadata: { namespace, name, uid } } of pods) {
      const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
      await unless("conflict/changed", () => api.remove(path, { uid }, 0));
    }
    return pods.length === 0 ? "there were none" : `${pods.length} deleted`;
  }

  /**
   * Ends the admission, so that no more certificates are signed for it, and has API servers refuse those that are
   * valid. The order matters: afterwards, the record has the latest end of any certificate.
   */
  async cut(): Promise<string> {
    const { api, clock } = this.#deps;
    const { nodeName, identity } = this.#node;
    const nowMs = clock.now().getTime();
    const ended = await new AdmissionRecords(api).end(nodeName, identity, nowMs);
    if (ended === undefined) return "it has no admission";
    const { uid, untilMs } = ended;
    if (untilMs === undefined) return "it never had one";
    const entry = { uid, identity, nodeName, epoch: ended.epoch ?? await currentEpoch(api), untilMs };
    await new CutEntries(api).create(entry);
    if (await this.#whenRefused(entry) === "ended") return "all have ended";
    await this.#note(uid);
    return `until ${new Date(untilMs).toISOString()}, when the last one ends`;
  }

  /**
   * Waits until the API server denies the admission's certificates, or all of them have ended by the API server's clock:
   * that decides whether it accepts them, and the operator's may be wrong. Before that, a kubelet that is not to be
   * trusted could register its Node again.
   */
  #whenRefused(entry: CutEntry): Promise<"refused" | "ended"> {
    const { api, clock, deadlineMs, signal } = this.#deps;
    const { nodeName, untilMs } = entry;
    return pollUntil(async () => {
      if (await isDenied(api, entry)) return "refused";
      const { serverTimeMs } = api;
      return serverTimeMs !== undefined && serverTimeMs >= untilMs + CUT_MARGIN_MS ? "ended" : undefined;
    }, {
      ...{ clock, deadlineMs, firstMs: FIRST_POLL_MS, longestMs: LONGEST_POLL_MS },
      ...present("signal", signal),
      code: "unavailable/cut-list",
      failure: `The API server still accepts the certificates of ${nodeName}`,
      next:
        "Check the join service of its control plane: `systemctl status bootstrapper-join-signer`; and that the API " +
        "server runs with --authorization-config. The request remains: run the command again to continue",
    });
  }

  /** Says on the record and on the Node what has happened. An Event that cannot be written stops no removal. */
  async #note(uid: string): Promise<void> {
    const { api, clock } = this.#deps;
    const { nodeName, identity } = this.#node;
    const message = `An operator removed the node ${nodeName}; API servers refuse its certificates`;
    const event = { type: "Normal", reason: "Removed", message, now: clock.now() } as const;
    for (const target of [{ kind: "NodeAdmission", name: identity, uid } as const, nodeTarget(nodeName)]) {
      await createEvent(api, target, event).catch(() => {});
    }
  }

  async forget(): Promise<string> {
    const { api, clock, mayReturn = false } = this.#deps;
    const { nodeName, identity } = this.#node;
    const nowMs = clock.now().getTime();
    const given = identity === "" ? {} : { identity };
    const record = await new AdmissionRecords(api).remove(nodeName, { ...given, nowMs, mayReturn });
    if (record === undefined) return "there were none";
    return mayReturn ? "released; its record is deleted" : "released; its record stays, as removed";
  }

  /**
   * Ends the removal. Another API server may have accepted the machine's kubelet for some seconds more, in which it
   * registered its Node again. No other machine has a Node of the name while the request stands.
   */
  async complete(): Promise<string> {
    const { api } = this.#deps;
    const { nodeName } = this.#node;
    const uid = await findNodeUid(api, nodeName);
    if (uid !== undefined && await this.#find() !== undefined) await api.remove(nodePath(nodeName), { uid });
    return await this.end();
  }

  async end(): Promise<string> {
    const stored = this.#stored;
    if (stored === undefined) throw new BootstrapError("internal/removal", "A removal ended without having begun");
    return await this.#requests.remove(stored) ? "done" : DONE_BY_ANOTHER;
  }

  /** Repeats a request that was refused in an earlier attempt. */
  async #waiting(found: StoredRemoval): Promise<StoredRemoval> {
    if (found.answer?.state !== "refused") return found;
    const again = await unless("conflict/changed", () => this.#requests.answer(found, undefined));
    return again ?? found;
  }

  /** Returns the current request, if it is still the one that was made or found. */
  async #find(): Promise<StoredRemoval | undefined> {
    const found = await this.#requests.find(this.#node.nodeName);
    return found?.uid === this.#stored?.uid ? found : undefined;
  }

  /** Checks that no other identity got the name before the request. After the request none can get it. */
  async #checkUnchanged(): Promise<void> {
    const { nodeName, identity, nodeUid } = this.#node;
    const { api } = this.#deps;
    const [record, nowUid] = [await findRecord(api, nodeName), await findNodeUid(api, nodeName)];
    const hasIdentity = record === undefined || record.identity === identity;
    if (hasIdentity && (nowUid === undefined || nodeUid === "" || nowUid === nodeUid)) return;
    await this.end();
    throw this.#changedHands(record?.identity ?? "");
  }

  /** Handles a missing request: another operator has completed the removal, or a refused removal was withdrawn. */
  async #endedByAnother(): Promise<string> {
    const { nodeName, identity, nodeUid } = this.#node;
    const { api } = this.#deps;
    const [record, nowUid] = [await findRecord(api, nodeName), await findNodeUid(api, nodeName)];
    const isLeft = (record !== undefined && record.identity === identity) ||
      (nowUid !== undefined && nowUid === nodeUid);
    if (isLeft) throw this.#endedOtherwise();
    return DONE_BY_ANOTHER;
  }

  #endedOtherwise(): BootstrapError {
    const { nodeName } = this.#node;
    return new BootstrapError("unavailable/removal", `Another operator withdrew the request to remove ${nodeName}`, {
      next: "Run the command again to see whether anything is left",
    });
  }

  #changedHands(seen: string): BootstrapError {
    const { nodeName, identity } = this.#node;
    return new BootstrapError("conflict/removal", `The name ${nodeName} now belongs to another identity or Node`, {
      next: "Check the node, and run the command again if you still want to remove it",
      details: { node: nodeName, expected: identity, seen },
    });
  }
}
