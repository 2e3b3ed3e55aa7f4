import assert from "node:assert/strict";
import { readAuthorizationConfiguration, readCutState } from "../kubernetes/authorization_configuration.ts";
import type { AdmissionRecord } from "../kubernetes/admission_records.ts";
import { AdmissionRecords } from "../kubernetes/admission_records.ts";
import { CutEntries } from "../kubernetes/cut_entries.ts";
import { raiseEpoch, readEpochs } from "../kubernetes/epochs.ts";
import { CONFIG_MAPS, MemoryApi } from "../kubernetes/testing/memory_api.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createLog } from "../platform/log.ts";
import { CutListKeeper, END_AT, RAISE_AT } from "./cut_list.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const LIFETIME_MS = 7 * DAY_MS;
const START_MS = Date.UTC(2026, 0, 1);

const uidOf = (number: number) => `00000000-0000-4000-8000-${number.toString(16).padStart(12, "0")}`;
const identityOf = (number: number) => number.toString(16).padStart(64, "0");

/** A join service's cut list, in a cluster in memory, at a time that the test sets. */
class World implements AsyncDisposable {
  readonly api = new MemoryApi();
  readonly records = new AdmissionRecords(this.api);
  readonly entries = new CutEntries(this.api);
  readonly events: Record<string, unknown>[] = [];
  readonly banned = new Set<string>();
  nowMs = START_MS;
  monotonicMs = 0;
  readonly keeper: CutListKeeper;

  private constructor(readonly folder: string) {
    this.keeper = this.newKeeper();
  }

  static async create(): Promise<World> {
    return new World(await Deno.makeTempDir());
  }

  newKeeper(): CutListKeeper {
    const clock = {
      now: () => new Date(this.nowMs),
      monotonicMs: () => this.monotonicMs,
      sleep: () => Promise.resolve(),
    };
    return new CutListKeeper({
      ...{ api: this.api, folder: this.folder, clock, certificateLifetimeMs: LIFETIME_MS },
      banned: () => this.banned,
      log: createLog(clock, (line) => this.events.push(JSON.parse(line))),
    });
  }

  /** Looks, after so much time. */
  async later(ms: number): Promise<void> {
    this.nowMs += ms;
    this.monotonicMs += ms;
    await this.keeper.look();
  }

  state() {
    return readCutState(this.folder);
  }

  /** Cuts nodes that never were. */
  async cut(from: number, count: number, epoch: number, untilMs = this.nowMs + LIFETIME_MS): Promise<void> {
    for (let number = from; number < from + count; number++) {
      await this.entries.create({
        ...{ uid: uidOf(number), identity: identityOf(number), nodeName: `n-${number}`, epoch, untilMs },
      });
    }
  }

  /** Admits a node, with a certificate of the epoch that is current. */
  async admit(number: number, role: AdmissionRecord["role"] = "worker"): Promise<string> {
    const identity = identityOf(number);
    const { uid } = await this.records.admit({
      ...{ identity, nodeName: `node-${number}`, role, nodeKey: "AAAA", addresses: [], evidenceDigest: "00" },
    });
    const { current: epoch } = await readEpochs(this.api);
    const notAfterMs = this.nowMs + LIFETIME_MS;
    await this.records.recordCertificates(identity, uid, [
      { usage: "client", serial: "01", digest: "00", notAfterMs, epoch },
    ]);
    return uid;
  }

  names(event: string): number {
    return this.events.filter((one) => one["event"] === event).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("look() cuts an entry off until its last certificate has ended, and then deletes the entry", async () => {
  await using world = await World.create();
  await world.later(0);
  assert.deepEqual(await world.state(), { epochs: [1, 2], cut: [] });
  await world.cut(1, 2, 1, START_MS + DAY_MS);
  await world.later(2_000);
  assert.deepEqual(await world.state(), { epochs: [1, 2], cut: [uidOf(1), uidOf(2)] });
  await world.later(DAY_MS);
  assert.equal((await world.state())?.cut.length, 2, "clocks differ");
  await world.later(11 * MINUTE_MS);
  assert.deepEqual(await world.state(), { epochs: [1, 2], cut: [] });
  assert.equal(world.names("cut-list-written"), 3);
  await world.later(LIFETIME_MS);
  assert.deepEqual((await world.entries.list()).entries, []);
});

Deno.test("a control plane whose clock is ahead takes neither entries nor epochs from the others", async () => {
  await using world = await World.create();
  await world.admit(1_001);
  await world.cut(1, RAISE_AT, 1);
  await world.later(0);
  const before = [await readEpochs(world.api), await world.entries.list()];
  world.nowMs += 300 * DAY_MS;
  for (let looks = 0; looks < 3; looks++) await world.later(6 * MINUTE_MS);
  assert.deepEqual([await readEpochs(world.api), await world.entries.list()], before);
  world.nowMs -= 300 * DAY_MS;
  await world.later(MINUTE_MS);
  assert.deepEqual((await world.state())?.epochs, [1, 2, 3]);
  assert.equal((await world.state())?.cut.length, RAISE_AT);
});

Deno.test("look() cuts a banned identity off at once, and takes it back when the ban goes", async () => {
  await using world = await World.create();
  const uid = await world.admit(7);
  await world.admit(8);
  await world.later(0);
  assert.deepEqual((await world.state())?.cut, []);
  world.banned.add(identityOf(7)).add(identityOf(99));
  await world.later(1_500);
  assert.deepEqual((await world.state())?.cut, [uid]);
  world.banned.clear();
  await world.later(1_500);
  assert.deepEqual((await world.state())?.cut, []);
});

Deno.test("look() finds the admission of a banned identity among very many bans, and one that comes later", async () => {
  await using world = await World.create();
  for (let number = 100; number < 300; number++) world.banned.add(identityOf(number));
  await world.later(0);
  const uid = await world.admit(250);
  await world.later(31_000);
  assert.deepEqual((await world.state())?.cut, [uid]);
});

Deno.test("look() finds a banned identity that another join service admits just after the ban", async () => {
  await using world = await World.create();
  world.banned.add(identityOf(7));
  await world.later(0);
  const uid = await world.admit(7);
  await world.later(5_000);
  assert.deepEqual((await world.state())?.cut, [uid]);
});

Deno.test("look() keeps what the cluster's store has lost: entries, and the epoch", async () => {
  await using world = await World.create();
  await world.cut(1, RAISE_AT, 1);
  await world.admit(8);
  await world.later(0);
  const before = await world.state();
  assert.deepEqual(before?.epochs, [1, 2, 3]);
  for (const path of [...world.api.objects.keys()].filter((one) => one.startsWith(CONFIG_MAPS))) {
    if (/\/(?:cut-[^/]*|epochs)$/.test(path)) world.api.objects.delete(path);
  }
  assert.equal((await readEpochs(world.api)).current, 1);
  await world.later(2_000);
  assert.deepEqual(await world.state(), before);
  assert.equal((await readEpochs(world.api)).current, 2);
  assert.equal(world.names("epochs-restored"), 1);
});

Deno.test("look() cuts a removal off though another object cannot be read: a banned record, the epochs", async () => {
  await using world = await World.create();
  const banned = await world.admit(7);
  const odd = await world.admit(9);
  world.banned.add(identityOf(7)).add(identityOf(9));
  await world.later(0);
  assert.deepEqual((await world.state())?.cut, [banned, odd].sort());
  for (const suffix of [identityOf(9), "epochs"]) {
    if (suffix === "epochs") await raiseEpoch(world.api, 1, world.nowMs + DAY_MS);
    await world.later(2_000);
    const path = [...world.api.objects.keys()].find((one) => one.endsWith(suffix));
    const stored = path && world.api.objects.get(path);
    assert.ok(path && stored);
    world.api.objects.set(path, { ...stored, spec: {}, data: {} });
    await world.cut(suffix.length, 1, 1);
    await world.later(31_000);
    assert.ok((await world.state())?.cut.includes(uidOf(suffix.length)), suffix);
    for (const uid of [banned, odd]) assert.ok((await world.state())?.cut.includes(uid), suffix);
  }
  assert.deepEqual((await world.state())?.epochs, [1, 2, 3]);
});

Deno.test("look() keeps the file as it is while the API server does not answer", async () => {
  await using world = await World.create();
  await world.cut(1, 1, 1);
  await world.later(0);
  const before = await world.state();
  const find = world.api.find;
  world.api.find = () => Promise.reject(new BootstrapError("unavailable/kubernetes-api", "down"));
  await assert.rejects(world.later(2_000), { code: "unavailable/kubernetes-api" });
  assert.deepEqual(await world.state(), before);
  // A service that starts meanwhile changes nothing either.
  await assert.rejects(world.newKeeper().look(), { code: "unavailable/kubernetes-api" });
  assert.deepEqual(await world.state(), before);
  world.api.find = find;
  await world.later(2_000);
  assert.equal(world.names("cut-list-written"), 1);
});

Deno.test("look() skips an entry that cannot be read, names it once, and uses the others", async () => {
  await using world = await World.create();
  await world.cut(1, 2, 1);
  const path = `${CONFIG_MAPS}/cut-${uidOf(1)}`;
  const stored = world.api.objects.get(path);
  assert.ok(stored !== undefined);
  for (const uid of ["x'] || true || g in ['", uidOf(3)]) {
    world.api.objects.set(path, { ...stored, data: { ...stored.data, uid } });
    await world.later(2_000);
    await world.later(2_000);
    assert.deepEqual((await world.state())?.cut, [uidOf(2)]);
  }
  const [event] = world.events.filter((one) => one["event"] === "cut-entry-unreadable");
  assert.equal(event?.["code"], "malformed/cut-entry");
  assert.equal(world.names("cut-entry-unreadable"), 1);
});

Deno.test("the epoch is raised long before the list is full, and nodes that renew in time never notice", async () => {
  await using world = await World.create();
  const old = await world.admit(1_001);
  await world.admit(1_002);
  await world.cut(1, RAISE_AT, 1);
  await world.later(0);
  // New certificates carry the new epoch at once; those of the old one are accepted.
  assert.equal((await readEpochs(world.api)).current, 2);
  assert.deepEqual((await world.state())?.epochs, [1, 2, 3]);
  assert.equal((await world.state())?.cut.length, RAISE_AT);

  await world.later(2 * DAY_MS);
  await world.admit(1_001);
  await world.later(DAY_MS);
  assert.deepEqual((await world.state())?.epochs, [1, 2, 3], "one node still needs it");
  await world.admit(1_002);
  await world.later(DAY_MS);
  assert.deepEqual(await world.state(), { epochs: [2, 3], cut: [] });
  assert.deepEqual((await world.entries.list()).entries, []);
  assert.equal((await world.records.find(identityOf(1_001)))?.nodeName, "node-1001");
  assert.notEqual(old, "");
});

Deno.test("an old epoch ends with its last certificate, though a node is off or a control plane keeps no record", async () => {
  await using world = await World.create();
  await world.records.admitFounder({
    ...{ identity: identityOf(5), nodeName: "cp-1", role: "control-plane", nodeKey: "", addresses: [] },
    evidenceDigest: "",
  });
  await world.admit(6);
  await world.cut(1, RAISE_AT, 1);
  await world.later(0);
  await world.later(LIFETIME_MS - MINUTE_MS);
  assert.deepEqual((await world.state())?.epochs, [1, 2, 3]);
  await world.later(12 * MINUTE_MS);
  assert.deepEqual((await world.state())?.epochs, [2, 3]);
  await world.later(LIFETIME_MS);
  assert.deepEqual((await readEpochs(world.api)).ending, []);
});

Deno.test("before a thousand entries, the epochs before the current one end at once", async () => {
  await using world = await World.create();
  await world.admit(5_000);
  await world.cut(1, RAISE_AT, 1);
  await world.later(0);
  await world.cut(RAISE_AT + 1, END_AT - RAISE_AT, 1);
  await world.later(2_000);
  assert.deepEqual(await world.state(), { epochs: [2, 3], cut: [] });
  // The next thousand are cut in epoch 2.
  await world.cut(2_000, END_AT, 2);
  await world.later(2_000);
  assert.deepEqual(await world.state(), { epochs: [3, 4], cut: [] });
  const text = await Deno.readTextFile(`${world.folder}/authorization.yaml`);
  assert.deepEqual(readAuthorizationConfiguration(text).epochs, [3, 4]);
});

Deno.test("several join services raise the epoch once", async () => {
  await using world = await World.create();
  await world.cut(1, RAISE_AT, 1);
  await Promise.all([world.keeper, world.newKeeper(), world.newKeeper()].map((keeper) => keeper.look()));
  assert.equal((await readEpochs(world.api)).current, 2);
});

Deno.test("run() reports a failure once, goes on, and ends with the signal", async () => {
  await using world = await World.create();
  const stop = new AbortController();
  const get = world.api.get.bind(world.api);
  let looks = 0;
  world.api.get = (path, schema) => {
    if (++looks === 4) stop.abort();
    return looks < 3 ? Promise.reject(new BootstrapError("unavailable/kubernetes-api", "down")) : get(path, schema);
  };
  await world.keeper.run(stop.signal);
  assert.equal(world.names("cut-list-not-kept"), 1);
  assert.equal(world.names("cut-list-written"), 1);
});
