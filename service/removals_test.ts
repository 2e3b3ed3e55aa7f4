import assert from "node:assert/strict";
import { CONFIG_MAPS, MemoryApi } from "../kubernetes/testing/memory_api.ts";
import type { EtcdMember } from "../kubernetes/etcd_health.ts";
import type { RemovalAnswer, RemovalRequest } from "../kubernetes/removal_requests.ts";
import { RemovalRequests } from "../kubernetes/removal_requests.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createLog } from "../platform/log.ts";
import { runRemovals } from "./removals.ts";

const REQUEST: RemovalRequest = {
  ...{ nodeName: "cp-2", role: "control-plane", identity: "ab".repeat(32), nodeUid: "" },
  ...{ addresses: ["10.0.0.2", "fd00::2"], requestedAt: "2026-01-01T00:00:00.000Z" },
};

/** An etcd with given members, a cluster with requests, and a clock that ends the loop after some looks. */
class Removing {
  readonly api = new MemoryApi();
  readonly requests = new RemovalRequests(this.api);
  readonly removed: string[] = [];
  readonly slept: number[] = [];
  readonly events: Record<string, unknown>[] = [];
  members: EtcdMember[] = [
    voter("1", "cp-1", "10.0.0.1"),
    voter("2", "cp-2", "10.0.0.2"),
    voter("3", "cp-3", "10.0.0.3"),
  ];
  dead = ["2"];
  leaderless = false;
  onHealth: () => void = () => {};
  /** Called when a member was removed. What it throws replaces etcd's answer. */
  afterRemove: () => void = () => {};
  /** Called between two looks. */
  onSleep: () => Promise<unknown> = () => Promise.resolve();

  /** Runs the loop for this many looks. */
  async run(looks = 1): Promise<void> {
    const stop = new AbortController();
    const clock = {
      now: () => new Date(0),
      monotonicMs: () => 0,
      sleep: async (ms: number) => {
        this.slept.push(ms);
        if (this.slept.length < looks) return void await this.onSleep();
        stop.abort();
        throw stop.signal.reason;
      },
    };
    const etcd = {
      health: () => {
        this.onHealth();
        const healthy = new Set(this.members.map(({ id }) => id).filter((id) => !this.dead.includes(id)));
        return Promise.resolve({ members: [...this.members], healthy, leaderless: this.leaderless });
      },
      remove: (id: string) => {
        this.removed.push(id);
        const before = this.members.length;
        this.members = this.members.filter((member) => member.id !== id);
        this.afterRemove();
        return Promise.resolve(this.members.length < before);
      },
    };
    const log = createLog(clock, (line) => this.events.push(JSON.parse(line)));
    await runRemovals({ api: this.api, etcd, clock, log, random: () => 0.5 }, stop.signal);
  }

  async answer(): Promise<RemovalAnswer | undefined> {
    return (await this.requests.find("cp-2"))?.answer;
  }
}

function voter(id: string, name: string, host: string): EtcdMember {
  const base = `https://${host.includes(":") ? `[${host}]` : host}`;
  return { id, name, peerUrls: [`${base}:2380`], clientUrls: [`${base}:2379`], isLearner: false };
}

Deno.test("runRemovals() removes the member with the node's name, and reports that", async () => {
  const world = new Removing();
  await world.requests.create(REQUEST);
  await world.run();
  assert.deepEqual(world.removed, ["2"]);
  assert.deepEqual(await world.answer(), { state: "removed" });
  const [event] = world.events;
  assert.deepEqual([event?.["event"], event?.["node"], event?.["state"]], ["removal-answered", "cp-2", "removed"]);
});

Deno.test("runRemovals() removes a member that never started by the node's address, of either family", async () => {
  for (const host of ["10.0.0.2", "fd00::2"]) {
    const world = new Removing();
    world.members = [voter("1", "cp-1", "10.0.0.1"), { ...voter("9", "", host), isLearner: true }];
    await world.requests.create(REQUEST);
    await world.run();
    assert.deepEqual(world.removed, ["9"]);
    assert.deepEqual(await world.answer(), { state: "removed" });
  }
});

Deno.test("runRemovals() never removes another node's member, not even one with the node's old address", async () => {
  const world = new Removing();
  world.members = [voter("1", "cp-1", "10.0.0.1"), voter("4", "cp-4", "10.0.0.2"), voter("5", "", "10.0.0.22")];
  await world.requests.create(REQUEST);
  await world.run();
  assert.deepEqual(world.removed, []);
  assert.deepEqual(await world.answer(), { state: "absent" });
});

Deno.test("runRemovals() refuses when etcd would lose its quorum, or has none", async () => {
  for (
    const change of [{ dead: ["3"] }, { dead: ["2", "3"] }, { members: [voter("2", "cp-2", "10.0.0.2")], dead: [] }]
  ) {
    const world = Object.assign(new Removing(), change);
    await world.requests.create(REQUEST);
    await world.run();
    assert.deepEqual(world.removed, []);
    const answer = await world.answer();
    assert.ok(answer?.state === "refused" && answer.code === "precondition/etcd-quorum" && answer.next !== "");
  }
});

Deno.test("runRemovals() does not answer while the members are unknown", async () => {
  const world = new Removing();
  Object.assign(world, { members: [voter("1", "cp-1", "10.0.0.1")], leaderless: true });
  await world.requests.create(REQUEST);
  await world.run();
  assert.equal(await world.answer(), undefined);
  assert.equal(world.events[0]?.["code"], "unavailable/etcd");
});

Deno.test("runRemovals() leaves workers and answered requests alone", async () => {
  const world = new Removing();
  await world.requests.create({ ...REQUEST, role: "worker" });
  const other = await world.requests.create({ ...REQUEST, nodeName: "cp-3" });
  await world.requests.answer(other, { state: "absent" });
  await world.run(3);
  assert.deepEqual([world.removed, world.events], [[], []]);
});

Deno.test("runRemovals() removes nothing when the request was dealt with elsewhere while etcd was asked", async () => {
  const changes: readonly ((world: Removing) => void)[] = [
    (world) => world.api.objects.delete(`${CONFIG_MAPS}/removal-cp-2`),
    (world) => {
      const { metadata, data } = world.api.objects.get(`${CONFIG_MAPS}/removal-cp-2`) ?? assert.fail();
      world.api.objects.set(`${CONFIG_MAPS}/removal-cp-2`, { metadata: { ...metadata, uid: "newer" }, data });
    },
    (world) => {
      const { metadata, data } = world.api.objects.get(`${CONFIG_MAPS}/removal-cp-2`) ?? assert.fail();
      world.api.objects.set(`${CONFIG_MAPS}/removal-cp-2`, { metadata, data: { ...data, state: "removed" } });
    },
  ];
  for (const change of changes) {
    const world = new Removing();
    await world.requests.create(REQUEST);
    world.onHealth = () => change(world);
    await world.run();
    assert.deepEqual([world.removed, world.events], [[], []]);
  }
});

Deno.test("runRemovals() goes on after any failure, more slowly, until it is stopped", async () => {
  const world = new Removing();
  await world.requests.create(REQUEST);
  world.onHealth = () => {
    if (world.slept.length < 6) throw new BootstrapError("unavailable/etcd", "etcd does not answer");
  };
  await world.run(8);
  assert.deepEqual(world.slept, [6_000, 12_000, 24_000, 30_000, 30_000, 30_000, 3_000, 3_000]);
  assert.deepEqual(await world.answer(), { state: "removed" });
});

Deno.test("runRemovals() reports the removal of a member when etcd's answer was lost, or its own was not written", async () => {
  const once = (code: "timeout/etcd" | "unavailable/kubernetes-api") => {
    let isFirst = true;
    return () => {
      if (!isFirst) return;
      isFirst = false;
      throw new BootstrapError(code, "There was no answer");
    };
  };
  for (const isEtcd of [true, false]) {
    const world = new Removing();
    await world.requests.create(REQUEST);
    if (isEtcd) world.afterRemove = once("timeout/etcd");
    else world.api.onChange = once("unavailable/kubernetes-api");
    await world.run(2);
    assert.deepEqual(world.removed, ["2"]);
    assert.deepEqual(await world.answer(), { state: "removed" });
  }
});

Deno.test("runRemovals() does not report as removed a member that etcd refused to remove and that left later", async () => {
  const world = new Removing();
  await world.requests.create(REQUEST);
  world.afterRemove = () => {
    world.members = [voter("1", "cp-1", "10.0.0.1"), voter("2", "cp-2", "10.0.0.2"), voter("3", "cp-3", "10.0.0.3")];
    throw new BootstrapError("precondition/etcd", "etcd refuses this in its present state");
  };
  world.onSleep = async () => {
    const refused = await world.requests.find("cp-2") ?? assert.fail();
    assert.equal(refused.answer?.state, "refused");
    await world.requests.answer(refused, undefined);
    world.members = world.members.filter(({ id }) => id !== "2");
  };
  await world.run(2);
  assert.deepEqual(await world.answer(), { state: "absent" });
});

Deno.test("runRemovals() answers once when another join service was quicker", async () => {
  const world = new Removing();
  const stored = await world.requests.create(REQUEST);
  world.api.onChange = (method) => {
    if (method !== "replace") return;
    world.api.onChange = () => {};
    void world.requests.answer(stored, { state: "removed" });
  };
  await world.run();
  assert.deepEqual(await world.answer(), { state: "removed" });
  assert.deepEqual(world.events, []);
});
