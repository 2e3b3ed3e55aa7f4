import assert from "node:assert/strict";
import { admissionGroup, epochGroup } from "../certificate/subjects.ts";
import { sleepingClock } from "../platform/testing/sleeping_clock.ts";
import type { AdmissionRecord } from "./admission_records.ts";
import { AdmissionRecords } from "./admission_records.ts";
import type { AnswerSchema } from "./api.ts";
import { CutEntries } from "./cut_entries.ts";
import { findNamedNode } from "./named_node.ts";
import { type NodeRemovalStep, nodeRemovalSteps } from "./node_removal.ts";
import { CONFIG_MAPS, MemoryApi } from "./testing/memory_api.ts";

const REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const NODES = "/api/v1/nodes";
const RECORD: AdmissionRecord = {
  ...{ identity: "1d".repeat(32), nodeName: "node-1", role: "worker", nodeKey: "AAAA" },
  ...{ addresses: ["10.0.0.1"], evidenceDigest: "00" },
};
const ENDS_MS = 9_000_000;
const DEADLINE_MS = 60_000;
const accept = { "~standard": { validate: (value: unknown) => ({ value }) } };

/** An API server in memory that also says whom it denies, as its authorizer of today does. */
class ReviewingApi extends MemoryApi {
  serverTimeMs: number | undefined;
  /** Called with the user and the groups of each question. */
  denies: (user: string, groups: readonly string[]) => boolean | Promise<boolean> = () => true;

  override async create<T>(path: string, object: unknown, schema: AnswerSchema<T>): Promise<T> {
    if (path !== REVIEWS) return await super.create(path, object, schema);
    const { spec: { user, groups } } = Object(object);
    const denied = await this.denies(user, groups);
    const result = await schema["~standard"].validate({ status: { allowed: !denied, ...(denied ? { denied } : {}) } });
    return result.issues === undefined ? result.value : assert.fail(JSON.stringify(result.issues));
  }
}

class World {
  readonly api = new ReviewingApi();
  readonly slept = sleepingClock();
  readonly entries = new CutEntries(this.api);
  uid = "";

  static async create(): Promise<World> {
    const world = new World();
    const records = new AdmissionRecords(world.api);
    world.uid = (await records.admit(RECORD)).uid;
    const certificate = { usage: "client", serial: "01", digest: "00", notAfterMs: ENDS_MS, epoch: 3 } as const;
    await records.recordCertificates(RECORD.identity, world.uid, [certificate]);
    await world.register();
    return world;
  }

  /** Registers the Node, as a kubelet does. */
  async register(): Promise<void> {
    await this.api.create(NODES, { metadata: { name: RECORD.nodeName } }, accept);
  }

  async steps(): Promise<readonly NodeRemovalStep[]> {
    const deps = { api: this.api, clock: this.slept.clock, deadlineMs: DEADLINE_MS };
    return nodeRemovalSteps(await findNamedNode(this.api, RECORD.nodeName), deps);
  }

  async remove(onStep: (name: NodeRemovalStep["name"]) => void | Promise<void> = () => {}) {
    const outcomes: Partial<Record<NodeRemovalStep["name"], string>> = {};
    for (const { name, run } of await this.steps()) {
      await onStep(name);
      outcomes[name] = await run();
    }
    return outcomes;
  }

  hasNode(): boolean {
    return this.api.names(NODES).includes(RECORD.nodeName);
  }
}

Deno.test("nodeRemovalSteps() deletes nothing before the API server denies the node's certificates", async () => {
  const world = await World.create();
  const asked: unknown[] = [];
  world.api.denies = (user, groups) => {
    asked.push({ user, groups });
    assert.ok(world.hasNode());
    return asked.length === 3;
  };
  const { cut, records } = await world.remove();
  assert.deepEqual(asked[0], {
    user: "system:node:node-1",
    groups: ["system:nodes", "system:authenticated", admissionGroup(world.uid), epochGroup(3)],
  });
  assert.equal(asked.length, 3);
  assert.match(cut ?? "", /^until 1970-01-01T02:30:00/);
  assert.equal(records, "released; its record stays, as removed");
  assert.equal(world.hasNode(), false);
  assert.deepEqual((await world.entries.list()).entries.map(({ uid, epoch }) => [uid, epoch]), [[world.uid, 3]]);
});

Deno.test("nodeRemovalSteps() fails where the API server goes on accepting them, keeps the rest, and continues", async () => {
  const world = await World.create();
  world.api.denies = () => false;
  await assert.rejects(world.remove(), { code: "unavailable/cut-list", retriable: true });
  assert.ok(world.hasNode());
  assert.ok(world.api.names(CONFIG_MAPS).includes("removal-node-1"));
  world.api.denies = () => true;
  await world.remove();
  assert.equal(world.hasNode(), false);
  assert.ok(!world.api.names(CONFIG_MAPS).includes("removal-node-1"));
});

Deno.test("nodeRemovalSteps() asks the API server's clock, not the operator's, whether certificates have ended", async () => {
  const world = await World.create();
  await world.slept.clock.sleep(2 * ENDS_MS);
  world.api.denies = () => true;
  assert.match((await world.remove()).cut ?? "", /^until/);

  const ended = await World.create();
  ended.api.denies = () => false;
  ended.api.serverTimeMs = ENDS_MS;
  await assert.rejects(ended.remove(), { code: "unavailable/cut-list" }, "another control plane's clock may be behind");
  ended.api.serverTimeMs = ENDS_MS + 10 * 60_000;
  assert.equal((await ended.remove()).cut, "all have ended");
});

Deno.test("nodeRemovalSteps() deletes a Node that the kubelet registered again, and never a successor's", async () => {
  const world = await World.create();
  await world.remove((name) => name === "records" ? world.register() : undefined);
  assert.equal(world.hasNode(), false);

  const late = await World.create();
  const steps = await late.steps();
  await steps[0]?.run();
  await late.remove();
  await late.register();
  assert.equal(await steps.at(-1)?.run(), "done by another operator");
  assert.ok(late.hasNode());
});
