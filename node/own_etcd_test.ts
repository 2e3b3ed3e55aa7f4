import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import fc from "fast-check";
import type { EtcdMember } from "../kubernetes/etcd_health.ts";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { LeavingEtcd, OpenEtcd } from "./own_etcd.ts";
import { leaveEtcd, OwnEtcd, parseOwnMember, readOwnMember } from "./own_etcd.ts";

/** The manifest that kubeadm writes for a node that joins two others. */
const MANIFEST = `apiVersion: v1
kind: Pod
metadata: {name: etcd, namespace: kube-system}
spec:
  containers:
  - command:
    - etcd
    - --advertise-client-urls=https://10.0.0.2:2379
    - --initial-advertise-peer-urls=https://10.0.0.2:2380
    - --initial-cluster=cp-1=https://10.0.0.1:2380,cp-2=https://10.0.0.2:2380
    - --name=cp-2
    image: registry.k8s.io/etcd:3.6.8-0
`;

function member(id: string, host: string, isLearner = false): EtcdMember {
  return { id, name: `cp-${id}`, peerUrls: [`https://${host}:2380`], clientUrls: [`https://${host}:2379`], isLearner };
}

/** A control plane's folder, and an etcd with the given members. */
class Leaving implements AsyncDisposable {
  members = [member("1", "10.0.0.1"), member("2", "10.0.0.2"), member("3", "10.0.0.3")];
  dead: string[] = [];
  leaderless = false;
  problem: BootstrapError | undefined;
  /** Called during a removal; an error that it throws replaces the answer. */
  onRemove: (id: string) => void = () => {};
  readonly done: string[] = [];
  endpoints: readonly string[] = [];
  nowMs = 0;
  readonly clock = {
    monotonicMs: () => this.nowMs,
    sleep: (ms: number) => {
      this.nowMs += ms;
      if (this.nowMs >= this.wellAtMs) this.problem = undefined;
      return Promise.resolve();
    },
  };
  wellAtMs = Infinity;

  private constructor(readonly folder: string) {}

  static async create(): Promise<Leaving> {
    const world = new Leaving(await Deno.makeTempDir());
    await world.write("manifests/etcd.yaml", MANIFEST);
    for (const name of ["ca.crt", "healthcheck-client.crt", "healthcheck-client.key"]) {
      await world.write(`pki/etcd/${name}`, name);
    }
    return world;
  }

  async write(name: string, text: string): Promise<void> {
    const path = join(this.folder, name);
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeTextFile(path, text);
  }

  readonly openEtcd: OpenEtcd = (endpoints, credentials): LeavingEtcd => {
    this.endpoints = endpoints;
    assert.deepEqual(Object.values(credentials), ["ca.crt", "healthcheck-client.crt", "healthcheck-client.key"]);
    return {
      health: () => {
        if (this.problem !== undefined) return Promise.reject(this.problem);
        const healthy = new Set(this.members.map(({ id }) => id).filter((id) => !this.dead.includes(id)));
        return Promise.resolve({ members: this.members, healthy, leaderless: this.leaderless });
      },
      remove: (id) => {
        this.done.push(`remove ${id}`);
        this.onRemove(id);
        return Promise.resolve(true);
      },
      [Symbol.dispose]: () => this.done.push("close"),
    };
  };

  leave(force = false, peers: readonly string[] = []) {
    return leaveEtcd({
      ...{ kubernetesFolder: this.folder, peers, openEtcd: this.openEtcd, force, clock: this.clock },
      remember: (found) => Promise.resolve(void this.done.push(`remember ${found.join(" ")}`)),
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("leaveEtcd() removes the node's member after it recorded the others", async () => {
  await using world = await Leaving.create();
  assert.deepEqual(await world.leave(false, ["https://10.0.0.9:2379", "https://10.0.0.1:2379"]), {
    outcome: "removed the member 2",
  });
  assert.deepEqual(world.endpoints, ["https://10.0.0.2:2379", "https://10.0.0.1:2379", "https://10.0.0.9:2379"]);
  assert.deepEqual(world.done, ["remember https://10.0.0.1:2379 https://10.0.0.3:2379", "remove 2", "close"]);
});

Deno.test("leaveEtcd() does nothing on a node that is not a member, or has left", async () => {
  await using world = await Leaving.create();
  world.members = [member("1", "10.0.0.1")];
  assert.deepEqual(await world.leave(), { outcome: "it had left before" });
  await Deno.remove(join(world.folder, "manifests"), { recursive: true });
  assert.deepEqual(await world.leave(), { outcome: "this node is no member" });
  assert.deepEqual(world.done, ["close"]);
});

Deno.test("leaveEtcd() reports the removal when the answer was lost, and asks the remaining members", async () => {
  for (const isRemoved of [true, false]) {
    for (const force of [false, true]) {
      await using world = await Leaving.create();
      world.onRemove = (id) => {
        world.onRemove = () => {};
        if (isRemoved) world.members = world.members.filter((one) => one.id !== id);
        throw new BootstrapError("timeout/etcd", "etcd did not answer in time");
      };
      assert.deepEqual(await world.leave(force, ["https://10.0.0.9:2379"]), { outcome: "removed the member 2" });
      const look = ["remember https://10.0.0.1:2379 https://10.0.0.3:2379", "remove 2", "close"];
      assert.deepEqual(world.done, isRemoved ? [...look, "close"] : [...look, ...look]);
      // The manifest does not name 10.0.0.3, which joined later; the first try found it in etcd.
      assert.deepEqual(world.endpoints, [2, 1, 3, 9].map((host) => `https://10.0.0.${host}:2379`));
      world.members = world.members.filter(({ id }) => id !== "2");
      assert.deepEqual(await world.leave(force), { outcome: "it had left before" });
    }
  }
});

Deno.test("leaveEtcd() refuses when etcd would lose its quorum or its last voter; a learner may always leave", async () => {
  await using world = await Leaving.create();
  world.dead = ["3"];
  await assert.rejects(world.leave(), ({ code, next }) => code === "precondition/etcd-quorum" && /--force/.test(next));
  world.members = [member("2", "10.0.0.2")];
  world.dead = [];
  await assert.rejects(world.leave(), { code: "precondition/etcd-quorum" });
  assert.deepEqual(world.done, ["close", "close"]);
  world.members = [member("1", "10.0.0.1"), member("2", "10.0.0.2", true)];
  assert.equal((await world.leave()).outcome, "removed the member 2");
});

Deno.test("leaveEtcd() fails when etcd has no leader or does not answer", async () => {
  await using world = await Leaving.create();
  world.members = [member("1", "10.0.0.1")];
  world.leaderless = true;
  await assert.rejects(world.leave(), { code: "unavailable/etcd", retriable: true });
  world.problem = new BootstrapError("unavailable/etcd", "No endpoint answers");
  await assert.rejects(world.leave(), ({ code, next }) => code === "unavailable/etcd" && /--force/.test(next));
});

Deno.test("leaveEtcd() retries until etcd serves: for a minute, or for ten seconds with force", async () => {
  for (const [force, patienceMs] of [[false, 60_000], [true, 10_000]] as const) {
    await using world = await Leaving.create();
    world.problem = new BootstrapError("unavailable/etcd", "The members have just met");
    world.wellAtMs = patienceMs;
    assert.equal((await world.leave(force)).outcome, "removed the member 2");
    assert.equal(world.nowMs, patienceMs);
    world.problem = new BootstrapError("unavailable/etcd", "No endpoint answers");
    world.wellAtMs = Infinity;
    if (force) assert.equal((await world.leave(force)).outcome, "skipped by --force");
    else await assert.rejects(world.leave(force), { code: "unavailable/etcd" });
    assert.equal(world.nowMs, 2 * patienceMs);
  }
});

Deno.test("leaveEtcd() with force tries, and reports what failed", async () => {
  await using world = await Leaving.create();
  world.dead = ["3"];
  assert.deepEqual(await world.leave(true), { outcome: "removed the member 2" });
  world.problem = new BootstrapError("unavailable/etcd", "No endpoint answers");
  const { warning } = await world.leave(true);
  assert.match(warning ?? "", /No endpoint answers/);
  await world.write("manifests/etcd.yaml", "torn");
  assert.match((await world.leave(true)).warning ?? "", /manifest/);
  await Deno.remove(join(world.folder, "pki"), { recursive: true });
  assert.equal((await world.leave(true)).outcome, "skipped by --force");
});

Deno.test("OwnEtcd.check() changes nothing", async () => {
  await using world = await Leaving.create();
  using etcd = await OwnEtcd.open(world.folder, [], world.openEtcd);
  assert.equal((await etcd?.check())?.member.id, "2");
  assert.deepEqual(world.done, []);
});

Deno.test("readOwnMember() gives undefined when there is no manifest", async () => {
  assert.equal(await readOwnMember("/nowhere"), undefined);
});

Deno.test("parseOwnMember() reads a manifest with IPv6 addresses", () => {
  const text = MANIFEST.replaceAll("10.0.0.1", "[fd00::1]").replaceAll("10.0.0.2", "[fd00::2]");
  assert.deepEqual(parseOwnMember(utf8(text), "m"), {
    peerUrl: "https://[fd00::2]:2380",
    endpoints: ["https://[fd00::2]:2379", "https://[fd00::1]:2379"],
  });
});

Deno.test("parseOwnMember() gives the member or malformed/etcd-manifest for any truncation and any flipped byte", () => {
  const good = utf8(MANIFEST);
  const parse = (bytes: Uint8Array) => {
    try {
      return parseOwnMember(bytes, "m");
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/etcd-manifest");
      return undefined;
    }
  };
  for (let length = 0; length < MANIFEST.indexOf("--initial-advertise"); length++) {
    assert.equal(parse(good.subarray(0, length)), undefined);
  }
  fc.assert(fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
    const member = parse(good.with(at, (good[at] ?? 0) ^ flip));
    assert.ok(member === undefined || (member.peerUrl !== "" && member.endpoints.length > 0));
  }));
});
