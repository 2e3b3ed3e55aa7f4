/**
 * A real API server, the join service that keeps its cut list, and machines that it admits or cuts off.
 *
 * @module
 */
import assert from "node:assert/strict";
import * as v from "valibot";
import type { AdmissionRecord } from "../../../kubernetes/admission_records.ts";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { findNamedNode } from "../../../kubernetes/named_node.ts";
import { nodeRemovalSteps } from "../../../kubernetes/node_removal.ts";
import { hex, randomBytes } from "../../../platform/bytes.ts";
import { systemClock } from "../../../platform/clock.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { createLog } from "../../../platform/log.ts";
import { CutListKeeper } from "../../../service/cut_list.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { TestCluster } from "./cluster.ts";

export const DAY_MS = 24 * 60 * 60_000;
export const DEADLINE_MS = 60_000;
export const anything = v.unknown();

/** A machine with an admission and a client certificate for it. */
export interface Machine {
  readonly record: AdmissionRecord;
  readonly uid: string;
  readonly api: KubernetesApi;
}

/** A cluster, and the join service that keeps the cut list of its API server. */
export class CutListWorld implements AsyncDisposable {
  readonly events: Record<string, unknown>[] = [];
  readonly banned = new Set<string>();
  readonly folder: string;
  /** How far the service's clock is ahead. */
  aheadMs = 0;
  readonly records: AdmissionRecords;
  readonly #clients: KubernetesApi[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  private constructor(readonly cluster: TestCluster, readonly service: KubernetesApi) {
    this.records = new AdmissionRecords(service);
    this.folder = cluster.controlPlane.path("/etc/kubernetes/bootstrapper");
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + this.aheadMs };
    const keeper = new CutListKeeper({
      ...{ api: service, folder: this.folder, certificateLifetimeMs: 7 * DAY_MS, clock },
      banned: () => this.banned,
      log: createLog(systemClock, (line) => this.events.push(JSON.parse(line))),
    });
    this.#running = keeper.run(this.#stop.signal);
  }

  static async create(cluster: TestCluster): Promise<CutListWorld> {
    return new CutListWorld(cluster, new KubernetesApi(await cluster.joinService()));
  }

  /** Admits a machine, and makes the certificate that a join service would sign. */
  async admit(nodeName: string, address: string, epoch = 1): Promise<Machine> {
    const record: AdmissionRecord = {
      ...{ identity: hex(randomBytes(32)), nodeName, role: "worker", nodeKey: "AAAA", addresses: [address] },
      evidenceDigest: "00".repeat(32),
    };
    const { uid } = await this.records.admit({ ...record, evidence: randomBytes(2_000) });
    return { record, uid, api: await this.certify(record, uid, epoch) };
  }

  async certify({ identity, nodeName }: AdmissionRecord, uid: string, epoch: number): Promise<KubernetesApi> {
    const notAfterMs = Date.now() + DAY_MS;
    const certificate = { usage: "client", serial: "01", digest: "00".repeat(32), notAfterMs, epoch } as const;
    await this.records.recordCertificates(identity, uid, [certificate]);
    return await this.client(nodeName, [`bootstrapper:admission:${uid}`, `bootstrapper:epoch:${epoch}`]);
  }

  /** A client with a node's name and groups. */
  async client(nodeName: string, groups: readonly string[]): Promise<KubernetesApi> {
    const organizations = ["system:nodes", ...groups].map((group) => `/O=${group}`).join("");
    const api = new KubernetesApi(await this.cluster.credentials(`${organizations}/CN=system:node:${nodeName}`));
    this.#clients.push(api);
    return api;
  }

  /** Gives a Node a Pod that uses a Secret, which its kubelet may read then. Returns the Secret's path. */
  async secretFor(nodeName: string, name: string): Promise<string> {
    const { admin } = this.cluster;
    const namespace = "/api/v1/namespaces/default";
    await admin.create(`${namespace}/secrets`, { metadata: { name }, stringData: { a: "b" } }, anything);
    const volumes = [{ name: "s", secret: { secretName: name } }];
    const containers = [{ name: "c", image: "none.invalid/c" }];
    const spec = { nodeName, containers, volumes, automountServiceAccountToken: false };
    // The API server takes no Pod before the controller manager has made the namespace's service account.
    await waitUntil(
      { what: "service account", deadlineMs: DEADLINE_MS },
      async () => await admin.find(`${namespace}/serviceaccounts/default`, anything) !== undefined,
    );
    await admin.create(`${namespace}/pods`, { metadata: { name }, spec }, anything);
    return `${namespace}/secrets/${name}`;
  }

  async remove(nodeName: string): Promise<Record<string, string>> {
    const { admin } = this.cluster;
    const outcomes: Record<string, string> = {};
    const deps = { api: admin, clock: systemClock, deadlineMs: DEADLINE_MS };
    for (const { name, run } of nodeRemovalSteps(await findNamedNode(admin, nodeName), deps)) {
      outcomes[name] = await run();
    }
    return outcomes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    for (const client of [...this.#clients, this.service]) client[Symbol.dispose]();
  }
}

/**
 * Whether the cut list denies a call: the API server answers 500 then, as nothing is behind its webhook. Any other
 * denial is no answer.
 */
export async function isCut(call: Promise<unknown>): Promise<boolean> {
  const status = await statusOf(call);
  assert.ok(["", "500"].includes(status), status);
  return status === "500";
}

/** Whether a call succeeds. */
export async function isAllowed(call: Promise<unknown>): Promise<boolean> {
  return await statusOf(call) === "";
}

/** The status of a refusal; empty if there is none. */
export async function statusOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "";
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    return error.details["status"] ?? error.code;
  }
}

export const nodePath = (name: string) => `/api/v1/nodes/${name}`;

/** Changes a Node. */
export const write = (api: KubernetesApi, name: string) =>
  api.merge(nodePath(name), { metadata: { labels: { "example.org/a": hex(randomBytes(4)) } } }, anything);

/** Until then, the API server answers as ever: it may say that the Node is gone. */
export const untilCut = (api: KubernetesApi, name: string) =>
  waitUntil(
    { what: `${name} to be cut off`, deadlineMs: DEADLINE_MS },
    async () => await statusOf(api.get(nodePath(name), anything)) === "500",
  );
