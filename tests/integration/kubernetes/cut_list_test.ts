/** Removal, bans and epochs against a real API server, which follows the cut list that a join service writes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import { generateKeyPair } from "../../../certificate/keys.ts";
import type { AdmissionRecord } from "../../../kubernetes/admission_records.ts";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import {
  MOST_CUT,
  readCutState,
  writeAuthorizationConfiguration,
} from "../../../kubernetes/authorization_configuration.ts";
import { CutEntries } from "../../../kubernetes/cut_entries.ts";
import { raiseEpoch, readEpochs } from "../../../kubernetes/epochs.ts";
import { nodeCertificatePath, readNodeCertificate } from "../../../kubernetes/kubelet_credentials.ts";
import { kubeletDenial } from "../../../kubernetes/kubelet_denial.ts";
import { findNamedNode } from "../../../kubernetes/named_node.ts";
import { NodeAdmissions } from "../../../kubernetes/node_admissions.ts";
import { nodeRemovalSteps } from "../../../kubernetes/node_removal.ts";
import { withCutListKept } from "../../../node/interim_cut_list.ts";
import { recordMembership } from "../../../node/membership.ts";
import { nodePaths } from "../../../node/paths.ts";
import { renewCertificates } from "../../../node/renewal.ts";
import { otherServicesOf, ownCaWay } from "../../../node/renewal_ways.ts";
import { hex, randomBytes } from "../../../platform/bytes.ts";
import { systemClock } from "../../../platform/clock.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { createLog } from "../../../platform/log.ts";
import { CutListKeeper, RAISE_AT } from "../../../service/cut_list.ts";
import { writeServiceState } from "../../../service/service_state.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { serviceState } from "../join/_join_worker.ts";
import { TestCluster } from "./cluster.ts";

const DAY_MS = 24 * 60 * 60_000;
const DEADLINE_MS = 60_000;
const CONFIG_MAPS = "/api/v1/namespaces/bootstrapper-system/configmaps";
const anything = v.unknown();

/** A machine with an admission and a client certificate for it. */
interface Machine {
  readonly record: AdmissionRecord;
  readonly uid: string;
  readonly api: KubernetesApi;
}

/** A cluster, and the join service that keeps the cut list of its API server. */
class World implements AsyncDisposable {
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

  static async create(cluster: TestCluster): Promise<World> {
    return new World(cluster, new KubernetesApi(await cluster.joinService()));
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
async function isCut(call: Promise<unknown>): Promise<boolean> {
  const status = await statusOf(call);
  assert.ok(["", "500"].includes(status), status);
  return status === "500";
}

async function isAllowed(call: Promise<unknown>): Promise<boolean> {
  return await statusOf(call) === "";
}

/** The status of a refusal; empty if there is none. */
async function statusOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "";
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    return error.details["status"] ?? error.code;
  }
}

const nodePath = (name: string) => `/api/v1/nodes/${name}`;
const write = (api: KubernetesApi, name: string) =>
  api.merge(nodePath(name), { metadata: { labels: { "example.org/a": hex(randomBytes(4)) } } }, anything);
/** Until then, the API server answers as ever: it may say that the Node is gone. */
const untilCut = (api: KubernetesApi, name: string) =>
  waitUntil(
    { what: `${name} to be cut off`, deadlineMs: DEADLINE_MS },
    async () => await statusOf(api.get(nodePath(name), anything)) === "500",
  );

Deno.test("a removed machine is cut off, and its successor is not", async (t) => {
  await using cluster = await TestCluster.create();
  await using world = await World.create(cluster);
  const { admin } = cluster;
  const name = "worker-1";
  const createNode = (api: KubernetesApi) => api.create("/api/v1/nodes", { metadata: { name } }, anything);
  const old = await world.admit(name, "10.9.0.1");
  let next: Machine | undefined;

  await t.step("an admitted machine registers its Node, reads it, and reads the Secrets of its Pods", async () => {
    await createNode(old.api);
    const secret = await world.secretFor(name, "of-the-old");
    await old.api.get(nodePath(name), anything);
    await write(old.api, name);
    await waitUntil(
      { what: "the Secret", deadlineMs: DEADLINE_MS },
      () => isAllowed(old.api.get(secret, anything)),
    );
  });

  await t.step("after node remove it can neither read nor write, and is never admitted again", async () => {
    const outcomes = await world.remove(name);
    assert.match(outcomes["cut"] ?? "", /^until 20/);
    assert.equal(outcomes["node"], "deleted");
    assert.equal(outcomes["pods"], "1 deleted");
    await untilCut(old.api, name);
    assert.ok(await isCut(createNode(old.api)));
    assert.ok(await isCut(old.api.get("/api/v1/namespaces/default/secrets/of-the-old", anything)));
    assert.ok(await isCut(old.api.get("/api/v1/services", anything)));
    await assert.rejects(world.records.admit(old.record), { code: "refused/removed" });
    await assert.rejects(world.records.recordCertificates(old.record.identity, old.uid, []), {
      code: "refused/removed",
    });
    assert.equal(await admin.find(nodePath(name), anything), undefined);
  });

  await t.step(
    "its successor under the same name and address works, and the old machine sees nothing of it",
    async () => {
      next = await world.admit(name, "10.9.0.1");
      const { api } = next;
      await createNode(api);
      const secret = await world.secretFor(name, "of-the-next");
      await waitUntil(
        { what: "the Secret", deadlineMs: DEADLINE_MS },
        () => isAllowed(api.get(secret, anything)),
      );
      await write(api, name);
      for (
        const call of [
          () => old.api.get(secret, anything),
          () => old.api.get(nodePath(name), anything),
          () => write(old.api, name),
          () => old.api.remove(nodePath(name)),
        ]
      ) {
        assert.ok(await isCut(call()), String(call));
      }
    },
  );

  await t.step("a ban in the policy cuts a machine off at once, and its end lets it on", async () => {
    const banned = await world.admit("worker-2", "10.9.0.2");
    await banned.api.create("/api/v1/nodes", { metadata: { name: "worker-2" } }, anything);
    world.banned.add(banned.record.identity);
    await untilCut(banned.api, "worker-2");
    assert.ok(await isCut(write(banned.api, "worker-2")));
    await next?.api.get(nodePath(name), anything);
    world.banned.clear();
    const what = { what: "worker-2 to be let on", deadlineMs: DEADLINE_MS };
    await waitUntil(what, () => isAllowed(banned.api.get(nodePath("worker-2"), anything)));
  });

  await t.step("an entry that would break the list is not written, and the list stays in force", async () => {
    const uid = crypto.randomUUID();
    const data = { version: "1", uid: "x'] || true || g in ['", identity: "", nodeName: "x", epoch: "1" };
    const metadata = { name: `cut-${uid}`, labels: { "bootstrapper-cut": "true" } };
    await admin.create(CONFIG_MAPS, { metadata, data: { ...data, until: new Date().toISOString() } }, anything);
    const isReported = () => world.events.some(({ event }) => event === "cut-entry-unreadable");
    await waitUntil({ what: "the report", deadlineMs: DEADLINE_MS }, () => Promise.resolve(isReported()));
    await assert.rejects(
      writeAuthorizationConfiguration(world.folder, { epochs: [1], cut: Array(MOST_CUT + 1).fill(uid) }),
      { code: "malformed/cut-list" },
    );
    assert.deepEqual((await readCutState(world.folder))?.cut, [old.uid]);
    await next?.api.get(nodePath(name), anything);
    assert.ok(await isCut(old.api.get(nodePath(name), anything)));
    await admin.remove(`${CONFIG_MAPS}/cut-${uid}`);
  });

  await t.step("a machine without an epoch, or with one that has not begun, is refused whatever it asks", async () => {
    for (const groups of [[], ["bootstrapper:epoch:99"], ["bootstrapper:epoch:0"], ["bootstrapper:epoch:11"]]) {
      const stranger = await world.client("worker-3", groups);
      assert.ok(await isCut(stranger.get("/api/v1/services", anything)), String(groups));
    }
  });

  await t.step("the epoch is raised before the list is full; who renews goes on, who does not is cut off", async () => {
    assert.ok(next !== undefined);
    const entries = new CutEntries(admin);
    const until = Date.now() + DAY_MS;
    const ghosts = Array.from({ length: RAISE_AT }, () => crypto.randomUUID());
    for (const uid of ghosts) {
      await entries.create({ uid, identity: "", nodeName: "ghost", epoch: 1, untilMs: until });
    }
    await waitUntil({ what: "epoch 2", deadlineMs: DEADLINE_MS }, async () => {
      world.aheadMs += 60_000;
      return (await readEpochs(admin)).current === 2;
    });
    await waitUntil({ what: "the list", deadlineMs: DEADLINE_MS }, async () => {
      return (await readCutState(world.folder))?.epochs.includes(3) === true;
    });
    // Both the old and the new certificate are accepted for as long as one node has not renewed.
    await next.api.get(nodePath(name), anything);
    const renewed = await world.certify(next.record, next.uid, 2);
    await renewed.get(nodePath(name), anything);
    await next.api.get(nodePath(name), anything);
    for (const { record, uid } of await admittedExcept(world, next.record.identity)) {
      await world.certify(record, uid, 2);
    }
    await waitUntil({ what: "the end of epoch 1", deadlineMs: DEADLINE_MS }, async () => {
      world.aheadMs += 6 * 60_000;
      return (await readCutState(world.folder))?.epochs.includes(1) === false;
    });
    await untilCut(next.api, name);
    await renewed.get(nodePath(name), anything);
    assert.ok(await isCut(old.api.get(nodePath(name), anything)));
    await waitUntil({ what: "the entries to go", deadlineMs: DEADLINE_MS }, async () => {
      world.aheadMs += 60_000;
      return (await entries.list()).entries.length === 0;
    });
    assert.deepEqual(await readCutState(world.folder), { epochs: [2, 3], cut: [] });
  });
});

/** The machines that are admitted, but for one. */
async function admittedExcept({ cluster, records }: World, identity: string) {
  const schema = v.object({
    items: v.array(v.object({
      metadata: v.object({ name: v.string(), uid: v.string() }),
      status: v.optional(v.object({ state: v.optional(v.string()) }), {}),
    })),
  });
  const { items } = await cluster.admin.get("/apis/bootstrapper.dev/v1/nodeadmissions", schema);
  const admitted = items.filter(({ metadata, status }) => status.state === "Admitted" && metadata.name !== identity);
  return await Promise.all(admitted.map(async ({ metadata }) => {
    const record = await records.find(metadata.name);
    assert.ok(record !== undefined);
    return { record, uid: metadata.uid };
  }));
}

Deno.test("a node learns that its epoch has ended at once, and renews; a control plane also what it lost", async (t) => {
  await using cluster = await TestCluster.create();
  await using _world = await World.create(cluster);
  const { admin, controlPlane: node } = cluster;
  const base = nodePaths();
  const paths = {
    ...base,
    state: node.path(base.state),
    joinService: node.path(base.joinService),
    kubernetes: node.path(base.kubernetes),
    kubelet: node.path(base.kubelet),
  };
  const operator = await generateKeyPair("ed25519");
  await Deno.mkdir(paths.state, { recursive: true });
  const state = await serviceState(cluster, operator, "version: 1\n", `${node.ip}:9444`);
  await writeServiceState(paths.joinService, state);
  await recordMembership(paths.state, systemClock);
  const parts = { paths, clock: systemClock, log: createLog(systemClock, (line) => void logged.push(line)) };
  const logged: string[] = [];
  const never = new AbortController().signal;
  const denial = (name: string) => kubeletDenial(paths, name, never);
  const self = () => Promise.resolve({ name: node.name, address: node.ip, role: "control-plane" } as const);
  const renew = () =>
    renewCertificates({
      ...{ ...parts, random: () => 0, denial, bootedAt: new Date(0), otherServices: otherServicesOf(paths, self) },
      attest: () => Promise.reject(new Error("This is a control plane")),
      issue: ownCaWay(parts, self),
    }, never);
  const groups = async () =>
    (await readNodeCertificate(paths, "client"))?.subject.attributes.map(({ value }) => value) ?? [];
  const record: AdmissionRecord = {
    ...{ identity: hex(randomBytes(32)), nodeName: node.name, role: "control-plane", nodeKey: "AAAA" },
    ...{ addresses: [node.ip], evidenceDigest: "00".repeat(32) },
  };
  const { uid } = await new AdmissionRecords(admin).admitFounder(record);

  await t.step("a certificate without an admission gets that of the record, for the epoch of the cluster", async () => {
    assert.equal(await denial(node.name), undefined);
    assert.equal((await renew()).state, "renewed", logged.join("\n"));
    assert.deepEqual((await groups()).slice(1, 3), [`bootstrapper:admission:${uid}`, "bootstrapper:epoch:1"]);
    assert.equal((await renew()).state, "early");
  });

  await t.step(
    "the list of a control plane that joins is true before its API server begins, and while it joins",
    async () => {
      const joining = { joinService: `${paths.joinService}-of-cp-2`, kubernetes: await Deno.makeTempDir() };
      const interim = { ...parts, paths: joining };
      let runs = 0;
      await withCutListKept(interim, never, () => Promise.resolve(void runs++));
      assert.deepEqual([runs, await readCutState(join(joining.kubernetes, "bootstrapper"))], [1, undefined]);
      const policyDocument = `version: 1\nvariant: none\nbannedIdentities: ["${record.identity}"]\n`;
      await writeServiceState(`${joining.joinService}.staged`, {
        ...state,
        policyDocument,
        apiEndpoints: [`${node.ip}:1`, ...state.apiEndpoints],
      });
      const folder = join(joining.kubernetes, "bootstrapper");
      const entries = new CutEntries(admin);
      const removed = [crypto.randomUUID(), crypto.randomUUID()].sort();
      const untilMs = Date.now() + DAY_MS;
      const cut = async (at: number) => {
        await entries.create({ uid: removed[at] ?? "", identity: "", nodeName: "gone", epoch: 1, untilMs });
      };
      await cut(0);
      await withCutListKept(interim, never, async () => {
        const first = await readCutState(folder);
        assert.deepEqual(first?.epochs, [1, 2]);
        assert.deepEqual(first.cut, [removed[0], uid].sort());
        await cut(1);
        const what = { what: "the second entry", deadlineMs: DEADLINE_MS };
        await waitUntil(what, async () => (await readCutState(folder))?.cut.length === 3);
      });
      await Deno.remove(joining.kubernetes, { recursive: true });
    },
  );

  await t.step("the epoch ends at once: the API server denies the kubelet, and the next look renews", async () => {
    await raiseEpoch(admin, 1, 0);
    await waitUntil(
      { what: "the denial", deadlineMs: DEADLINE_MS },
      async () => (await denial(node.name))?.code === "unavailable/kubernetes-authorizer",
    );
    assert.equal((await renew()).state, "renewed", logged.join("\n"));
    assert.equal((await groups()).at(2), "bootstrapper:epoch:2");
    assert.equal(await denial(node.name), undefined);
    assert.equal((await renew()).state, "early");
  });

  await t.step("the kubelet has lost both certificates: it gets new ones, which are on record", async () => {
    for (const usage of ["client", "serving"] as const) await Deno.remove(nodeCertificatePath(paths.kubelet, usage));
    assert.equal((await renew()).state, "renewed", logged.join("\n"));
    assert.deepEqual((await groups()).slice(1, 3), [`bootstrapper:admission:${uid}`, "bootstrapper:epoch:2"]);
    assert.equal(await denial(node.name), undefined);
    const stored = await new NodeAdmissions(admin).find(record.identity);
    const serial = (await readNodeCertificate(paths, "client"))?.serialNumber.toHex();
    assert.ok(serial !== undefined && JSON.stringify(stored?.status).includes(serial), JSON.stringify(stored?.status));
  });
});

Deno.test("an API server loads a list of as many entries as may be written, and refuses the last of them", async () => {
  await using cluster = await TestCluster.create();
  const folder = cluster.controlPlane.path("/etc/kubernetes/bootstrapper");
  const cut = Array.from({ length: MOST_CUT }, () => crypto.randomUUID()).sort();
  await writeAuthorizationConfiguration(folder, { epochs: [1, 2], cut });
  const clientOf = async (uid: string) => {
    const groups = ["system:nodes", `bootstrapper:admission:${uid}`, "bootstrapper:epoch:1"];
    const subject = `${groups.map((group) => `/O=${group}`).join("")}/CN=system:node:worker-1`;
    return new KubernetesApi(await cluster.credentials(subject));
  };
  using last = await clientOf(cut.at(-1) ?? "");
  using other = await clientOf(crypto.randomUUID());
  const services = "/api/v1/services";
  const what = { what: "the list to be in force", deadlineMs: DEADLINE_MS };
  await waitUntil(what, async () => await statusOf(last.get(services, anything)) === "500");
  await other.get(services, anything);
});
