import { PeerError } from "../../protocol/refusal.ts";
import assert from "node:assert/strict";
import { helloStatement } from "../../protocol/transcript.ts";
import { clusterIdText, readClusterId } from "../../certificate/cluster_id.ts";
import { generateKeyPair } from "../../certificate/keys.ts";
import { sign } from "../../protocol/signature.ts";
import { randomBytes } from "../../platform/bytes.ts";
import { decodeJournal, encodeJournal } from "../../journal/_journal_file.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { systemClock } from "../../platform/clock.ts";
import { exists } from "../../platform/files.ts";
import { createLog } from "../../platform/log.ts";
import type { ProgressEvent } from "../../proto/gen/bootstrapper.ts";
import type { HeldRecord } from "../../operator/cluster_records.ts";
import { REATTACH_PERIOD_MS } from "../../init/init_server.ts";
import { InitWorld, sayHello, TestOperator } from "./init_world.ts";
import { ShownMachine } from "./init_machine.ts";

const PATIENCE_MS = 20_000;

/** Retries while the node has not noticed yet that the earlier caller is gone: its error is retriable then. */
async function retry<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof BootstrapError && error.code === "unavailable/init-in-progress")) throw error;
    }
  }
}

Deno.test("InitServer founds one cluster, locks the node for it, and ends when the operator has acknowledged", async () => {
  await using world = await InitWorld.start();
  const events: ProgressEvent[] = [];
  const cluster = await world.found({ onProgress: (event) => void events.push(event) });
  const state = world.lock.state();
  assert(state.name === "locked");
  assert.equal(state.lock.owner, "init");
  assert.equal(clusterIdText(state.lock.clusterId), cluster.clusterId);
  assert.deepEqual(
    events.map(({ number, phase, state }) => [number, phase, state]),
    ["preflight", "lock", "kubeadm-init"].flatMap((phase, index) => [
      [2 * index + 1, phase, "started"],
      [2 * index + 2, phase, "done"],
    ]),
  );
  await world.served;
  assert.equal(world.foundings, 1);
  assert(!await exists(`${world.folder}/init/ca.key`));
});

Deno.test("InitServer tells a stranger nothing but the refusal, and makes no evidence for it", async () => {
  await using world = await InitWorld.start();
  await assert.rejects(world.found({ operator: await generateKeyPair("ed25519") }), (error: unknown) => {
    assert(error instanceof BootstrapError);
    assert.equal(error.code, "unauthorized/operator");
    assert.deepEqual(error.details, { saidBy: "peer" });
    return true;
  });
  assert.equal(world.issued, 0);
  assert.equal(world.lock.state().name, "unlocked");
});

Deno.test("InitServer refuses a hello of another connection", async () => {
  await using world = await InitWorld.start();
  using dialled = await world.dial();
  const clientNonce = randomBytes(32);
  const signature = await sign(world.operator.keys, "hello", await helloStatement(randomBytes(32), clientNonce));
  const hello = { clientNonce, operatorKey: world.operator.keys.spki, signature };
  await dialled.exchange.send({ message: { $case: "hello", hello } });
  await assert.rejects(dialled.exchange.receive("proposal", PATIENCE_MS), { code: "unauthorized/operator" });
});

Deno.test("InitServer stays fresh when preflight fails, and reports every reason", async () => {
  await using world = await InitWorld.start({
    preflight: () => Promise.reject(new BootstrapError("precondition/preflight", "disk: full; images: missing")),
  });
  await assert.rejects(world.found(), { code: "precondition/preflight", message: "disk: full; images: missing" });
  assert.equal(world.lock.state().name, "unlocked");
  assert(!await world.hasStaged());
});

Deno.test("InitServer drops an Init whose caller has gone, and stays fresh", async () => {
  const reached = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  await using world = await InitWorld.start({
    preflight: async () => {
      reached.resolve();
      await goOn.promise;
    },
  });
  const caller = new AbortController();
  const found = world.found({ signal: caller.signal });
  await reached.promise;
  caller.abort();
  await assert.rejects(found);
  goOn.resolve();
  const cluster = await retry(() => world.found());
  assert.equal(world.foundings, 1);
  const state = world.lock.state();
  assert(state.name === "locked" && clusterIdText(state.lock.clusterId) === cluster.clusterId);
});

Deno.test("InitServer stays fresh when its caller goes directly before the lock is linked", async () => {
  const caller = new AbortController();
  await using world = await InitWorld.start({
    withLock: (lock) => ({
      state: () => lock.state(),
      async take(claim) {
        assert(await world.hasStaged(), "nothing was staged before the lock");
        caller.abort();
        while (claim.confirm?.() !== false) await systemClock.sleep(1);
        return await lock.take(claim);
      },
    }),
  });
  await assert.rejects(world.found({ signal: caller.signal }));
  await retry(async () => {
    using dialled = await world.dial();
    await sayHello(dialled, world.operator.keys);
    await dialled.exchange.receive("proposal", PATIENCE_MS);
  });
  assert.equal(world.lock.state().name, "unlocked");
  assert(!await world.hasStaged());
  assert.equal(world.foundings, 0);
});

Deno.test("InitServer stays fresh and keeps nothing when the lock cannot be prepared, and goes on with the next Init", async () => {
  let isDiskFull = true;
  await using world = await InitWorld.start({
    withLock: (lock) => ({
      state: () => lock.state(),
      async take(claim) {
        if (!isDiskFull) return await lock.take(claim);
        assert(await world.hasStaged(), "nothing was staged before the lock");
        throw new BootstrapError("system/file", "No space left on device");
      },
    }),
  });
  await assert.rejects(
    world.found(),
    (error: unknown) => error instanceof PeerError && error.code === "system/file" && error.isFresh,
  );
  assert.equal(world.lock.state().name, "unlocked");
  assert(!await world.hasStaged());
  isDiskFull = false;
  const cluster = await retry(() => world.found());
  const state = world.lock.state();
  assert(state.name === "locked" && clusterIdText(state.lock.clusterId) === cluster.clusterId);
});

Deno.test("InitServer tells its caller that it is about to take its lock before it does", async () => {
  const heard = Promise.withResolvers<void>();
  await using world = await InitWorld.start({
    withLock: (lock) => ({
      state: () => lock.state(),
      async take(claim) {
        await heard.promise;
        return await lock.take(claim);
      },
    }),
  });
  await world.found({ onProgress: ({ phase, state }) => phase === "lock" && state === "started" && heard.resolve() });
  assert.equal(world.lock.state().name, "locked");
});

Deno.test("InitServer refuses another operator while an Init lasts, and the same one ends it", async () => {
  await using colleague = await TestOperator.create();
  await using world = await InitWorld.start({ colleagues: [colleague] });
  using first = await world.dial();
  await sayHello(first, world.operator.keys);
  const proposed = await first.exchange.receive("proposal", PATIENCE_MS);
  {
    using other = await world.dial();
    await sayHello(other, colleague.keys);
    await assert.rejects(other.exchange.receive("proposal", PATIENCE_MS), { code: "unavailable/init-in-progress" });
  }
  using again = await world.dial();
  await sayHello(again, world.operator.keys);
  const { clusterId } = await again.exchange.receive("proposal", PATIENCE_MS);
  assert.notDeepEqual(clusterId, proposed.clusterId);
  await assert.rejects(first.exchange.receive("activation", PATIENCE_MS), { code: "aborted/superseded" });
});

Deno.test("InitServer lets the same operator begin anew while a check of the earlier Init hangs", async () => {
  const hanging = Promise.withResolvers<AbortSignal>();
  let preflights = 0;
  await using world = await InitWorld.start({
    preflight: (_init, _progress, signal) => {
      if (++preflights > 1) return Promise.resolve();
      hanging.resolve(signal);
      return new Promise(() => {});
    },
  });
  const caller = new AbortController();
  const found = world.found({ signal: caller.signal });
  const signal = await hanging.promise;
  caller.abort();
  await assert.rejects(found);
  const cluster = await retry(() => world.found());
  assert(signal.aborted, "the check was not told that its caller is gone");
  const state = world.lock.state();
  assert(state.name === "locked" && clusterIdText(state.lock.clusterId) === cluster.clusterId);
});

Deno.test("InitServer finishes alone when its caller goes after the lock, and the same operation gets the same cluster", async () => {
  const goOn = Promise.withResolvers<void>();
  await using world = await InitWorld.start({ onFound: () => goOn.promise });
  const caller = new AbortController();
  const found = world.found({
    signal: caller.signal,
    onProgress: ({ phase }) => phase === "kubeadm-init" && caller.abort(),
  });
  await assert.rejects(found);
  goOn.resolve();
  const state = world.lock.state();
  assert(state.name === "locked");
  let again = false;
  const cluster = await world.found({ onVerified: (_claims, _id, isAgain) => again = isAgain });
  assert(again);
  assert.deepEqual(readClusterId(cluster.clusterId, "ID"), state.lock.clusterId);
  assert.equal(world.foundings, 1);
  await world.served;
});

Deno.test("InitServer refuses the founding of a name that the operator's record holds", async () => {
  await using world = await InitWorld.start();
  await world.found();
  await assert.rejects(world.found(), { code: "precondition/cluster-exists" });
});

Deno.test("InitServer tells its caller why the race was lost", async () => {
  const reached = Promise.withResolvers<void>();
  await using world = await InitWorld.start({
    preflight: async () => {
      reached.resolve();
      await world.lock.take({ owner: "join", clusterId: randomBytes(32) });
      world.stop(new BootstrapError("precondition/joining", "This node is joining a cluster"));
    },
  });
  await assert.rejects(world.found(), { code: "precondition/joining" });
  await reached.promise;
  assert(!await world.hasStaged());
});

Deno.test("InitServer refuses every other operator and every other operation once it is locked", async () => {
  await using colleague = await TestOperator.create();
  await using world = await InitWorld.start({ colleagues: [colleague], onFound: () => new Promise(() => {}) });
  const caller = new AbortController();
  const onProgress = ({ phase }: ProgressEvent) => phase === "kubeadm-init" && caller.abort();
  await assert.rejects(world.found({ signal: caller.signal, onProgress }));
  const { operatorKeys } = world.trust;
  await assert.rejects(colleague.found(world.endpoint, { operatorKeys }), { code: "precondition/other-operator" });
  const record = await world.operator.record();
  assert(record !== undefined);
  const other = { ...record, operationId: "00".repeat(16) };
  const forgetful: HeldRecord = { current: other, write: () => Promise.resolve(), [Symbol.dispose]() {} };
  await assert.rejects(world.operator.found(world.endpoint, { operatorKeys, record: forgetful }), {
    code: "precondition/other-operation",
  });
  assert.equal(world.foundings, 1);
});

Deno.test("InitServer goes on by itself after a power cut, and its operator gets the same cluster", async () => {
  const folder = await Deno.makeTempDir({ prefix: "init-world-" });
  await using operator = await TestOperator.create();
  const machine = new ShownMachine();
  let clusterId: Uint8Array | undefined;
  {
    await using world = await InitWorld.start({ folder, operator, machine, onFound: () => new Promise(() => {}) });
    const caller = new AbortController();
    const onProgress = ({ phase }: ProgressEvent) => phase === "kubeadm-init" && caller.abort();
    await assert.rejects(world.found({ signal: caller.signal, onProgress }));
    const state = world.lock.state();
    assert(state.name === "locked");
    clusterId = state.lock.clusterId;
  }
  machine.reboot();
  await using world = await InitWorld.start({ folder, operator, machine });
  const cluster = await world.found();
  assert.deepEqual(readClusterId(cluster.clusterId, "ID"), clusterId);
  await world.served;
  assert.equal(world.foundings, 1);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("InitServer does not go on with the journal of another operation", async () => {
  const folder = await Deno.makeTempDir({ prefix: "init-world-" });
  await using operator = await TestOperator.create();
  const machine = new ShownMachine();
  {
    const onFound = () => Promise.reject(new BootstrapError("internal/unexpected", "the process dies here"));
    await using world = await InitWorld.start({ folder, operator, machine, onFound });
    await assert.rejects(world.found());
  }
  const path = `${folder}/journal/init`;
  const { head, ...content } = await decodeJournal(await Deno.readFile(path), path);
  assert(head.operation !== undefined);
  const operation = { ...head.operation, request: "00".repeat(32) };
  await Deno.writeFile(path, await encodeJournal({ ...content, head: { ...head, operation } }));
  await assert.rejects(InitWorld.start({ folder, operator, machine }), (error: unknown) => {
    assert(error instanceof BootstrapError && error.code === "precondition/journal");
    assert.equal(error.details.field, "operation.request");
    return true;
  });
  await Deno.remove(folder, { recursive: true });
});

Deno.test("InitServer forgets the second copy of the CA's key when it was killed while it did so", async () => {
  const folder = await Deno.makeTempDir({ prefix: "init-world-" });
  await using operator = await TestOperator.create();
  const machine = new ShownMachine();
  {
    await using world = await InitWorld.start({ folder, operator, machine });
    await world.found();
    await world.served;
  }
  await Deno.writeTextFile(`${folder}/init/ca.key`, "left behind");
  await using world = await InitWorld.start({ folder, operator, machine });
  await world.served;
  assert.equal(world.foundings, 0);
  assert(!await exists(`${folder}/init/ca.key`));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("InitServer waits for its operator for an hour after the cluster stands, and no longer", async () => {
  const slept = Promise.withResolvers<number>();
  const wake = Promise.withResolvers<void>();
  const events: unknown[] = [];
  const log = createLog(systemClock, (line) => events.push(JSON.parse(line)["event"]));
  const sleep = (ms: number) => (slept.resolve(ms), wake.promise);
  await using world = await InitWorld.start({ clock: { ...systemClock, sleep }, log });
  await assert.rejects(world.found({ keep: () => Promise.reject(new Error("the operator's disk is full")) }));
  const ms = await slept.promise;
  assert(ms > REATTACH_PERIOD_MS - PATIENCE_MS && ms <= REATTACH_PERIOD_MS);
  wake.resolve();
  await world.served;
  assert(events.includes("init-never-acknowledged"));
  assert(!await exists(`${world.folder}/init/ca.key`));
});

Deno.test("InitServer tells its caller why the cluster could not be made, and ends with that error", async () => {
  const failure = new BootstrapError("system/kubeadm", "kubeadm init failed in phase etcd", { next: "Look" });
  await using world = await InitWorld.start({ onFound: () => Promise.reject(failure) });
  await assert.rejects(world.found(), { code: "system/kubeadm", message: failure.message, next: "Look" });
  await assert.rejects(world.served, { code: "system/kubeadm" });
  assert.equal(world.lock.state().name, "locked");
  assert.equal((await world.operator.record())?.state, "pending");
});
