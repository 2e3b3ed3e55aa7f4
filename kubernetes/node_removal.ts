/**
 * Removing a node from the cluster, the operator's side: frees its name for another machine.
 *
 * The operator has no access to etcd. A request asks the join services to remove the etcd member, and keeps the name from
 * getting a ticket until all is gone; it is deleted last. Every step may be repeated, by the same operator or by another.
 *
 * @module
 */
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { pollUntil } from "./_poll.ts";
import { unless } from "./_unless.ts";
import { AdmissionRecords } from "./admission_records.ts";
import type { KubernetesApi } from "./api.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";
import { findNodeUid, findRecord, type NamedNode } from "./named_node.ts";
import { RemovalRequests, type StoredRemoval } from "./removal_requests.ts";

/** What {@linkcode nodeRemovalSteps} works with. */
export interface NodeRemovalDependencies {
  /** The API server, as an operator. */
  readonly api: KubernetesApi;
  /** Time. */
  readonly clock: Clock;
  /** How long a join service may take to answer. */
  readonly deadlineMs: number;
  /** Ends the wait early; run again, the removal goes on. */
  readonly signal?: AbortSignal;
}

/** A step of a removal. */
export interface NodeRemovalStep {
  /** Its name. */
  readonly name: "request" | "etcd" | "node" | "records" | "end";
  /** What it does, for people. */
  readonly title: string;
  /** Does it; may be repeated. Gives what became of it, for people. */
  readonly run: () => Promise<string>;
}

const FIRST_POLL_MS = 200;
const LONGEST_POLL_MS = 2_000;
const DONE_BY_ANOTHER = "done by another operator";

/**
 * The steps that remove a node, in their order. Killed between two of them, or in one, the removal goes on from the first.
 * Where another operator has ended the removal in the meantime, the steps that are left do nothing.
 *
 * Steps throw {@linkcode BootstrapError}: `unavailable/removal` if no join service answers in time; what the join service
 * refused with, as `precondition/etcd-quorum`; `conflict/removal` if the name was given to another identity in the
 * meantime; and what {@linkcode KubernetesApi} throws.
 */
export function nodeRemovalSteps(node: NamedNode, deps: NodeRemovalDependencies): readonly NodeRemovalStep[] {
  const removal = new Removal(node, deps);
  return [
    { name: "request", title: "keep the name from getting tickets", run: () => removal.request() },
    ...(node.role === "worker" ? [] : [
      { name: "etcd", title: "have a join service remove its etcd member", run: () => removal.leaveEtcd() } as const,
    ]),
    { name: "node", title: "delete its Node", run: () => removal.ifStanding(() => removal.deleteNode()) },
    { name: "records", title: "delete its admission records", run: () => removal.ifStanding(() => removal.forget()) },
    { name: "end", title: "free the name", run: () => removal.end() },
  ];
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
    return `goes on with the one of ${found.request.requestedAt}`;
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
      next:
        "Look at a control plane that is left: `systemctl status bootstrapper-join-service`, and whether etcd has a " +
        "quorum. The request stands: run the command again to go on, or delete the ConfigMap " +
        `removal-${nodeName} in ${BOOTSTRAPPER_NAMESPACE} to take it back`,
    });
    if (answer === "ended") return await this.#endedByAnother();
    if (answer.state !== "refused") return answer.state === "removed" ? "removed" : "none is left";
    // Nothing was done, so the name need not wait for another attempt.
    await this.end();
    const { code, message, next } = answer;
    throw new BootstrapError(code, message, { next, details: { node: nodeName } });
  }

  /** Whoever ended the removal may have freed the name already, and another node may have it. */
  async ifStanding(work: () => Promise<string>): Promise<string> {
    return await this.#find() === undefined ? await this.#endedByAnother() : await work();
  }

  async deleteNode(): Promise<string> {
    const { api } = this.#deps;
    const { nodeName } = this.#node;
    const uid = await findNodeUid(api, nodeName);
    const isDeleted = uid !== undefined && await api.remove(`/api/v1/nodes/${nodeName}`, { uid });
    return isDeleted ? "deleted" : "there was none";
  }

  async forget(): Promise<string> {
    await new AdmissionRecords(this.#deps.api).remove(this.#node.nodeName);
    return "deleted";
  }

  async end(): Promise<string> {
    const stored = this.#stored;
    if (stored === undefined) throw new BootstrapError("internal/removal", "A removal ended that was not begun");
    return await this.#requests.remove(stored) ? "done" : DONE_BY_ANOTHER;
  }

  /** A request that was refused in an earlier attempt is asked anew. */
  async #waiting(found: StoredRemoval): Promise<StoredRemoval> {
    if (found.answer?.state !== "refused") return found;
    const again = await unless("conflict/changed", () => this.#requests.answer(found, undefined));
    return again ?? found;
  }

  /** The request as it is now, if it is still the one that was made or found. */
  async #find(): Promise<StoredRemoval | undefined> {
    const found = await this.#requests.find(this.#node.nodeName);
    return found?.uid === this.#stored?.uid ? found : undefined;
  }

  /** From the request on nobody else gets the name; before it, somebody may have got it. */
  async #checkUnchanged(): Promise<void> {
    const { nodeName, identity, nodeUid } = this.#node;
    const { api } = this.#deps;
    const [record, nowUid] = [await findRecord(api, nodeName), await findNodeUid(api, nodeName)];
    const hasIdentity = record === undefined || record.identity === identity;
    if (hasIdentity && (nowUid === undefined || nodeUid === "" || nowUid === nodeUid)) return;
    await this.end();
    throw this.#changedHands(record?.identity ?? "");
  }

  /** The request is gone, which is the last step of a removal, or what a refused one ends with. */
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
    return new BootstrapError("unavailable/removal", `The request to remove ${nodeName} was taken back by another`, {
      next: "Run the command again to see whether anything is left",
    });
  }

  #changedHands(seen: string): BootstrapError {
    const { nodeName, identity } = this.#node;
    return new BootstrapError("conflict/removal", `The name ${nodeName} has changed hands in the meantime`, {
      next: "Look at the node anew, and run the command again if it is still to go",
      details: { node: nodeName, expected: identity, seen },
    });
  }
}
