/** The steps of the search's counterexamples, and answers that are lost, with a real etcd of one member. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Decision, type DecisionView } from "../../../founding/decision.ts";
import { EtcdClient, type FounderStore } from "../../../founding/etcd_client.ts";
import { binaryLauncher } from "../../../founding/etcd_launchers.ts";
import { EtcdProcess } from "../../../founding/etcd_process.ts";
import { nextMove, type OwnFacts, type Situation } from "../../../founding/moves.ts";
import { makePledge } from "../../../founding/pledge.ts";
import { Presence } from "../../../founding/presence.ts";
import { makeFounder } from "../../../founding/testing/founder.ts";
import { systemClock } from "../../../platform/clock.ts";
import { systemCommands } from "../../../platform/command.ts";
import { asBootstrapError, BootstrapError } from "../../../platform/errors.ts";
import { silentLog } from "../../../platform/log.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { searchDecision } from "../../protocol/decision_search.ts";
import { prepareBinaries } from "../../tools/prepare_binaries.ts";

const WAIT_MS = 60_000;
const { signal } = new AbortController();

/** An etcd of one member, in this process's network. */
class Store implements AsyncDisposable {
  readonly client: EtcdClient;
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;
  readonly #folder: string;

  private constructor(folder: string, process: EtcdProcess, client: EtcdClient) {
    this.#folder = folder;
    this.client = client;
    this.#running = process.run(this.#stop.signal).catch(() => {});
  }

  static async open(): Promise<Store> {
    const { dir } = await prepareBinaries();
    const folder = await Deno.makeTempDir({ prefix: "founding-etcd-" });
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const founder = await makeFounder("n1", `127.0.0.1:${listener.addr.port}`);
    listener.close();
    const { keys, keyPem, certificatePem, entry } = founder;
    await Deno.writeTextFile(join(folder, "key.pem"), keyPem, { mode: 0o600 });
    await Deno.writeTextFile(join(folder, "certificate.pem"), certificatePem);
    const pledge = await makePledge([entry], { folder, keys, trustDigest: new Uint8Array(32), size: 1 });
    const process = new EtcdProcess({
      ...{ folder, clock: systemClock, log: silentLog, random: Math.random },
      roster: { ...pledge, digest: pledge.roster },
      launcher: binaryLauncher(systemCommands, join(dir, "etcd")),
      times: { heartbeatMs: 50, electionMs: 500 },
    });
    const credentials = { caPem: certificatePem, certificatePem, keyPem };
    const client = new EtcdClient({ endpoint: () => process.endpoint, credentials, deadlineMs: 2_000 });
    const store = new Store(folder, process, client);
    await waitUntil({ what: "etcd", deadlineMs: WAIT_MS }, async ({ saw }) => {
      try {
        await client.read(signal);
        return true;
      } catch (error) {
        saw(`${asBootstrapError(error).message} ${process.lastError?.message ?? ""}`);
        return false;
      }
    });
    return store;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

const FRESH: Omit<OwnFacts, "key"> = {
  ...{ lock: undefined, staged: undefined, prepared: undefined, isReady: true, founding: "not-begun" },
  ...{ failure: undefined, completed: undefined, isServing: false, isMember: false },
};
const TIMES = { stableMs: 1, restlessMs: 1, takeoverMs: 1, leaveMs: 1, lingerMs: 1 };
const LONG = { absentMs: 10, leadMs: 10, termMs: 10, memberMs: 0, allMembersMs: 0 };

/** A founder that does what the moves say, one at a time, on command. No time passes for it: all is long enough. */
class Player {
  readonly clusterId: string;
  readonly decision: Decision;
  readonly presence: Presence;
  own: OwnFacts;

  constructor(store: FounderStore, digit: string) {
    const key = digit.repeat(64);
    this.clusterId = `sha256:${key}`;
    this.own = { ...FRESH, key };
    this.decision = new Decision({ store, self: { identity: key, key }, log: silentLog });
    this.presence = new Presence({ store, key, clock: systemClock, ttlSeconds: 60 });
  }

  async situation(): Promise<Situation & { view: DecisionView }> {
    const view = await this.decision.read(signal);
    const founders = ["1", "2", "3"].map((digit) => digit.repeat(64));
    return { own: this.own, view, seen: LONG, times: TIMES, leads: this.presence.leads(view), founders };
  }

  /** Makes the next move, and returns its name. */
  async move(): Promise<string> {
    const { view, own } = await this.situation();
    const move = nextMove(await this.situation());
    if (move.kind === "campaign") await this.presence.campaign(view, signal);
    if (move.kind === "decide") {
      this.own = { ...own, prepared: this.clusterId };
      await this.decision.decide(view, move.why, this.clusterId, signal);
    }
    if (move.kind === "stage") this.own = { ...own, staged: move.decision };
    if (move.kind === "lock") this.own = { ...own, lock: { owner: "init", clusterId: this.clusterId } };
    if (move.kind === "init") this.own = { ...own, founding: "done" };
    if (move.kind === "complete") await this.decision.complete(move.decision, [], signal);
    if (move.kind === "journal") this.own = { ...own, completed: move.complete };
    if (move.kind === "serve") this.own = { ...own, isServing: true };
    return move.kind;
  }

  async moves(...names: readonly string[]): Promise<void> {
    for (const name of names) assert.equal(await this.move(), name);
  }
}

const UNTIL_FOUNDED = ["campaign", "decide", "stage", "lock", "init"];

Deno.test("the search's two clusters need a join service before complete, in steps that this code plays", () => {
  const { counterexample } = searchDecision({ maximumEpoch: 2, servesAfterRead: true });
  assert.equal(counterexample?.wrong, "two clusters serve");
  assert.equal(counterexample.steps.length, 17);
  assert.equal(counterexample.steps.filter((name) => name === "serve").length, 2);
});

Deno.test("Decision.complete() is refused to a founder that another took over from: it never serves", async () => {
  await using store = await Store.open();
  const [first, second] = [new Player(store.client, "1"), new Player(store.client, "2")];
  await first.moves(...UNTIL_FOUNDED);
  await first.presence.yieldLead(signal);
  const { view } = await first.situation();
  assert.ok(view.decision !== undefined && first.own.staged !== undefined);
  await second.moves(...UNTIL_FOUNDED);
  // The first one read before the take-over, and asks for the end only now.
  const after = await first.decision.complete(first.own.staged, [], signal);
  assert.equal(after.complete, undefined);
  await first.moves("superseded", "superseded");
  await second.moves("complete", "journal", "serve");
  await first.moves("superseded");
  assert.deepEqual([first.own.isServing, second.own.isServing], [false, true]);
});

Deno.test("Decision.decide() is refused once a cluster is complete, and complete is final", async () => {
  await using store = await Store.open();
  const [first, second] = [new Player(store.client, "1"), new Player(store.client, "2")];
  await first.moves(...UNTIL_FOUNDED);
  await first.presence.yieldLead(signal);
  await second.moves("campaign");
  const seen = await second.decision.read(signal);
  await first.moves("complete");
  for (const why of ["nothing", "resigned", "absent"] as const) {
    const { decision } = await second.decision.decide(seen, why, second.clusterId, signal);
    assert.equal(decision?.clusterId, first.clusterId, why);
  }
  assert.ok(seen.decision !== undefined);
  const resigned = await first.decision.resign(seen.decision, "too late", signal);
  assert.equal(resigned.decision?.resigned, undefined);
  await first.moves("journal", "serve");
  await second.moves("join");
  assert.equal((await second.decision.read(signal)).complete?.clusterId, first.clusterId);
});

Deno.test("Decision.decide() is refused without the lead, while who was decided on is alive, and by an old read", async () => {
  await using store = await Store.open();
  const [first, second, third] = [..."123"].map((digit) => new Player(store.client, digit));
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  const empty = await first.decision.read(signal);
  assert.equal((await first.decision.decide(empty, "nothing", first.clusterId, signal)).decision, undefined);
  await first.presence.stayAlive(empty, signal);
  await first.moves("campaign", "decide");
  await first.presence.yieldLead(signal);
  await second.moves("campaign");
  const seen = await second.decision.read(signal);
  assert.ok(seen.alive.has(first.own.key));
  for (const why of ["nothing", "resigned", "absent"] as const) {
    assert.equal((await second.decision.decide(seen, why, second.clusterId, signal)).decision?.epoch, 1, why);
  }
  assert.ok(seen.decision !== undefined);
  await first.decision.resign(seen.decision, "as asked for", signal);
  assert.equal((await second.decision.decide(seen, "resigned", second.clusterId, signal)).decision?.epoch, 2);
  // The lead is the same, and the decision is not.
  assert.equal((await second.decision.decide(seen, "resigned", third.clusterId, signal)).decision?.epoch, 2);
});

/** Drops the answer of each transaction, after or before etcd took it. */
class Lossy implements FounderStore {
  readonly #store: FounderStore;
  readonly #when: "after" | "before";
  lost = 0;

  constructor(store: FounderStore, when: "after" | "before") {
    this.#store = store;
    this.#when = when;
  }

  read: FounderStore["read"] = (signal) => this.#store.read(signal);
  grant: FounderStore["grant"] = (ttl, signal) => this.#store.grant(ttl, signal);
  keepAlive: FounderStore["keepAlive"] = (lease, signal) => this.#store.keepAlive(lease, signal);
  revoke: FounderStore["revoke"] = (lease, signal) => this.#store.revoke(lease, signal);
  transact: FounderStore["transact"] = async (conditions, put, signal) => {
    if (put.key === "leader") return await this.#store.transact(conditions, put, signal);
    // Every second one is lost before etcd hears of it.
    this.lost++;
    if (this.#when === "after" || this.lost % 2 === 0) await this.#store.transact(conditions, put, signal);
    throw new BootstrapError("timeout/etcd", "the answer is dropped, as asked for");
  };
}

for (const when of ["after", "before"] as const) {
  Deno.test(`a founder reads back whose decision it is when answers are lost ${when} etcd has the request`, async () => {
    await using store = await Store.open();
    const lossy = new Lossy(store.client, when);
    const player = new Player(lossy, "1");
    const seen: string[] = [];
    for (let moves = 0; !player.own.isServing; moves++) {
      assert.ok(moves < 20, seen.join());
      seen.push(await player.move());
    }
    assert.deepEqual([...new Set(seen)], [...UNTIL_FOUNDED, "complete", "journal", "serve"]);
    assert.equal(lossy.lost, when === "after" ? 2 : 4);
    assert.equal((await player.decision.read(signal)).decision?.epoch, 1);
  });
}
