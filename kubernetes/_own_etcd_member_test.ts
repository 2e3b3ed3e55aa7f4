import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { isOwnVoter, settleOwnMember } from "./_own_etcd_member.ts";
import type { EtcdMember } from "./etcd.ts";

const NODE = { name: "cp-2", address: "10.0.0.2" };
const OWN_URL = "https://10.0.0.2:2380";
const MANIFEST = "apiVersion: v1\nkind: Pod\nspec: {}\nstatus: {}\n";

const member = (id: number, name: string, peerUrl: string, isLearner = false): EtcdMember => ({
  id: id.toString(16).padStart(16, "0"),
  ...{ name, isLearner, peerUrls: [peerUrl], clientUrls: [] },
});
const FIRST = member(1, "cp-1", "https://10.0.0.1:2380");
const THIRD = member(3, "cp-3", "https://10.0.0.3:2380");
const own = (name: string, isLearner: boolean) => member(2, name, OWN_URL, isLearner);

/** A node's disk and its cluster. It records all changes to them, in order. */
class Scene implements AsyncDisposable {
  readonly done: string[] = [];
  /** How many more times etcd is found listening. */
  listening = 0;
  /** Whether the node's own member is healthy. */
  isWell = false;
  #monotonicMs = 0;

  private constructor(readonly folder: string, public members: EtcdMember[]) {}

  static async create(members: EtcdMember[], files: readonly ("data" | "manifest")[] = []): Promise<Scene> {
    const scene = new Scene(await Deno.makeTempDir(), members);
    const data = ["etcd/member/wal/0.wal", "etcd/member/snap/db"];
    const paths = [...(files.includes("data") ? data : []), ...(files.includes("manifest") ? ["etcd.yaml"] : [])];
    await Deno.mkdir(join(scene.folder, "etcd"));
    for (const path of paths) {
      await Deno.mkdir(dirname(join(scene.folder, path)), { recursive: true });
      await Deno.writeTextFile(join(scene.folder, path), MANIFEST);
    }
    return scene;
  }

  /** The remaining files on the disk. */
  async left(): Promise<string[]> {
    const names = [...Deno.readDirSync(join(this.folder, "etcd"))].map(({ name }) => `etcd/${name}`);
    const manifest = await Deno.stat(join(this.folder, "etcd.yaml")).then(() => ["etcd.yaml"], () => []);
    return [...names, ...manifest];
  }

  settle(): Promise<"member" | "joining" | "absent"> {
    const clock: Clock = {
      now: () => new Date(this.#monotonicMs),
      monotonicMs: () => this.#monotonicMs,
      sleep: (ms) => {
        this.#monotonicMs += ms;
        return Promise.resolve();
      },
    };
    return settleOwnMember({
      ...{ node: NODE, clock, etcdFolder: join(this.folder, "etcd"), manifest: join(this.folder, "etcd.yaml") },
      isListening: async () => {
        if (!(await this.left()).includes("etcd.yaml") && this.listening > 0) this.done.push("listens");
        return this.listening > 0 && this.listening-- > 0;
      },
      etcd: {
        members: () => Promise.resolve(this.members),
        health: () => {
          const healthy = new Set(
            this.members.filter(({ id }) => this.isWell || id !== own("", false).id).map(({ id }) => id),
          );
          return Promise.resolve({ members: this.members, healthy, leaderless: false });
        },
        remove: async (id) => {
          this.done.push(`remove ${id.slice(-1)} with ${(await this.left()).join(" ")}`);
          this.members = this.members.filter((candidate) => candidate.id !== id);
          return true;
        },
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("settleOwnMember() touches nothing when the node is a voter with data and manifest", async () => {
  await using scene = await Scene.create([FIRST, own("cp-2", false)], ["data", "manifest"]);
  assert.equal(await scene.settle(), "member");
  assert.deepEqual(scene.done, []);
  assert.deepEqual(await scene.left(), ["etcd/member", "etcd.yaml"]);
});

Deno.test("settleOwnMember() keeps a voter's data when only its manifest is torn", async () => {
  await using scene = await Scene.create([FIRST, own("cp-2", false)], ["data", "manifest"]);
  await Deno.truncate(join(scene.folder, "etcd.yaml"), 20);
  assert.equal(await scene.settle(), "joining");
  assert.deepEqual(scene.done, []);
  assert.ok((await scene.left()).includes("etcd/member"));
});

Deno.test("settleOwnMember() keeps a running learner", async () => {
  await using scene = await Scene.create([FIRST, own("cp-2", true)], ["data", "manifest"]);
  scene.listening = 1;
  assert.equal(await scene.settle(), "joining");
  assert.deepEqual(scene.done, []);
});

Deno.test("settleOwnMember() removes manifest, process, member and data, in that order", async () => {
  await using scene = await Scene.create([FIRST, own("", true)], ["data", "manifest"]);
  scene.listening = 2;
  assert.equal(await scene.settle(), "absent");
  assert.deepEqual(scene.done, ["listens", "listens", "remove 2 with etcd/member"]);
  assert.deepEqual(await scene.left(), []);
});

Deno.test("settleOwnMember() removes the node's old member when it does not run, has no data, or had another address", async () => {
  const cases: readonly [EtcdMember[], readonly ("data" | "manifest")[]][] = [
    [[FIRST, own("cp-2", true)], ["data", "manifest"]],
    [[FIRST, own("", true)], []],
    [[FIRST, THIRD, own("cp-2", false)], ["manifest"]],
    [[FIRST, THIRD, member(2, "cp-2", "https://10.0.0.99:2380")], ["data", "manifest"]],
  ];
  for (const [members, files] of cases) {
    await using scene = await Scene.create(members, files);
    assert.equal(await scene.settle(), "absent");
    assert.deepEqual(scene.members, members.slice(0, -1));
    assert.deepEqual(await scene.left(), []);
  }
});

Deno.test("settleOwnMember() removes data when the node is no member, and the rest of an earlier removal", async () => {
  await using scene = await Scene.create([FIRST], ["data"]);
  await Deno.mkdir(join(scene.folder, "etcd/removed-0011223344556677/wal"), { recursive: true });
  await Deno.mkdir(join(scene.folder, "etcd/lost+found"));
  assert.equal(await scene.settle(), "absent");
  assert.deepEqual(scene.done, []);
  assert.deepEqual(await scene.left(), ["etcd/lost+found"]);
});

Deno.test("settleOwnMember() changes nothing when another node's member has this node's address", async () => {
  await using scene = await Scene.create([FIRST, own("cp-9", false)], ["data", "manifest"]);
  await assert.rejects(scene.settle(), (error: unknown) => {
    assert.ok(error instanceof BootstrapError);
    assert.equal(error.code, "conflict/etcd-member");
    assert.equal(error.details.member, "cp-9");
    return true;
  });
  assert.deepEqual(await scene.left(), ["etcd/member", "etcd.yaml"]);
});

Deno.test("settleOwnMember() changes nothing when a healthy member elsewhere has its name", async () => {
  await using scene = await Scene.create([FIRST, THIRD, member(2, "cp-2", "https://10.0.0.99:2380")], [
    "data",
    "manifest",
  ]);
  scene.isWell = true;
  await assert.rejects(scene.settle(), { code: "conflict/etcd-member", retriable: false });
  assert.deepEqual([scene.done, scene.members.length], [[], 3]);
  assert.deepEqual(await scene.left(), ["etcd/member", "etcd.yaml"]);
});

Deno.test("isOwnVoter() is true only for a voter of this name and address with its data", async () => {
  const cases: readonly [member: EtcdMember, files: readonly ("data" | "manifest")[], is: boolean][] = [
    [own("cp-2", false), ["data", "manifest"], true],
    [own("cp-2", false), ["data"], true],
    [own("cp-2", false), ["manifest"], false],
    [own("cp-2", true), ["data", "manifest"], false],
    [own("", false), ["data", "manifest"], false],
    [own("cp-9", false), ["data", "manifest"], false],
    [member(2, "cp-2", "https://10.0.0.99:2380"), ["data", "manifest"], false],
  ];
  for (const [member, files, is] of cases) {
    await using scene = await Scene.create([FIRST, member], files);
    const etcd = { members: () => Promise.resolve(scene.members) };
    assert.equal(await isOwnVoter({ etcd, node: NODE, etcdFolder: join(scene.folder, "etcd") }), is);
  }
});

Deno.test("settleOwnMember() keeps member and data when the old process does not end, or its vote is needed", async () => {
  await using running = await Scene.create([FIRST, own("cp-2", true)], ["data"]);
  running.listening = Number.POSITIVE_INFINITY;
  await assert.rejects(running.settle(), (error: unknown) => {
    assert.ok(error instanceof BootstrapError && error.code === "timeout/etcd" && error.retriable);
    return true;
  });
  await using needed = await Scene.create([FIRST, own("cp-2", false)], ["manifest"]);
  await assert.rejects(needed.settle(), (error: unknown) => {
    assert.ok(error instanceof BootstrapError && error.code === "precondition/etcd-quorum");
    return true;
  });
  assert.equal(running.members.length + needed.members.length, 4);
  assert.deepEqual(await running.left(), ["etcd/member"]);
});
