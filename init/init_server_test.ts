import assert from "node:assert/strict";
import { helloStatement } from "../attestation/transcript.ts";
import { clusterIdText, readClusterId } from "../certificate/cluster_id.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import { sign } from "../certificate/signature.ts";
import { randomBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { exists } from "../platform/files.ts";
import type { ProgressEvent } from "../proto/gen/bootstrapper.ts";
import { echoIssuer, initWorld } from "./_testing.ts";

/** The node may be about to notice that the caller before has gone; it says then that asking again may work. */
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
  await using world = await initWorld();
  const events: ProgressEvent[] = [];
  const cluster = await world.found({ onProgress: (event) => void events.push(event) });
  const state = world.lock.state();
  assert(state.name === "locked");
  assert.equal(state.lock.owner, "init");
  assert.equal(clusterIdText(state.lock.clusterId), cluster.clusterId);
  assert.deepEqual(
    events.map(({ number, phase, state }) => [number, phase, state]),
    [[1, "preflight", "started"], [2, "preflight", "done"], [3, "kubeadm-init", "started"], [
      4,
      "kubeadm-init",
      "done",
    ]],
  );
  await world.served;
  assert.equal(world.foundings(), 1);
  assert(!await exists(`${world.folder}/init/ca.key`));
});

Deno.test("InitServer tells a stranger nothing but the refusal, and makes no evidence for it", async () => {
  let issued = 0;
  const issuer = { ...echoIssuer, issue: (x: Uint8Array) => (issued++, echoIssuer.issue(x)) };
  await using world = await initWorld({ issuer });
  await assert.rejects(world.found({ operator: await generateKeyPair("ed25519") }), (error: unknown) => {
    assert(error instanceof BootstrapError);
    assert.equal(error.code, "unauthorized/operator");
    assert.deepEqual(error.details, { saidBy: "peer" });
    return true;
  });
  assert.equal(issued, 0);
  assert.equal(world.lock.state().name, "unlocked");
});

Deno.test("InitServer refuses a hello of another connection", async () => {
  await using world = await initWorld();
  using dialled = await world.dial();
  const clientNonce = randomBytes(32);
  const signature = await sign(world.operator, "hello", await helloStatement(randomBytes(32), clientNonce));
  const hello = { clientNonce, operatorKey: world.operator.spki, signature };
  await dialled.exchange.send({ message: { $case: "hello", hello } });
  await assert.rejects(dialled.exchange.receive("proposal", 5000), { code: "unauthorized/operator" });
});

Deno.test("InitServer stays fresh when preflight fails, and says every reason", async () => {
  await using world = await initWorld({
    preflight: () => Promise.reject(new BootstrapError("precondition/preflight", "disk: full; images: missing")),
  });
  await assert.rejects(world.found(), { code: "precondition/preflight", message: "disk: full; images: missing" });
  assert.equal(world.lock.state().name, "unlocked");
  assert(!await exists(`${world.folder}/init`));
});

Deno.test("InitServer drops an Init whose caller has gone, and stays fresh", async () => {
  const reached = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  await using world = await initWorld({
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
  assert.equal(world.foundings(), 1);
  const state = world.lock.state();
  assert(state.name === "locked" && clusterIdText(state.lock.clusterId) === cluster.clusterId);
});

Deno.test("InitServer refuses another operator while an Init lasts, and the same one ends it", async () => {
  const operators = [await generateKeyPair("ed25519"), await generateKeyPair("ed25519")] as const;
  await using world = await initWorld({ operators });
  const begin = async (operator: (typeof operators)[number]) => {
    const dialled = await world.dial();
    const clientNonce = randomBytes(32);
    const signature = await sign(operator, "hello", await helloStatement(dialled.exchange.binding, clientNonce));
    const hello = { clientNonce, operatorKey: operator.spki, signature };
    await dialled.exchange.send({ message: { $case: "hello", hello } });
    return dialled;
  };
  using first = await begin(operators[0]);
  const proposed = await first.exchange.receive("proposal", 5000);
  {
    using other = await begin(operators[1]);
    await assert.rejects(other.exchange.receive("proposal", 5000), { code: "unavailable/init-in-progress" });
  }
  using again = await begin(operators[0]);
  const { clusterId } = await again.exchange.receive("proposal", 5000);
  assert.notDeepEqual(clusterId, proposed.clusterId);
  await assert.rejects(first.exchange.receive("activation", 5000), { code: "aborted/superseded" });
});

Deno.test("InitServer finishes alone when its caller goes after the lock, and the same operation gets the same cluster", async () => {
  const goOn = Promise.withResolvers<void>();
  await using world = await initWorld({ onFound: () => goOn.promise });
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
  assert.equal(world.foundings(), 1);
  await world.served;
});

Deno.test("InitServer refuses the founding of a name that the operator's record holds", async () => {
  await using world = await initWorld();
  await world.found();
  await assert.rejects(world.found(), { code: "precondition/cluster-exists" });
});

Deno.test("InitServer tells its caller why the race was lost", async () => {
  const reached = Promise.withResolvers<void>();
  await using world = await initWorld({
    preflight: async () => {
      reached.resolve();
      await world.lock.take({ owner: "join", clusterId: randomBytes(32) });
      world.stop(new BootstrapError("precondition/joining", "This node is joining a cluster"));
    },
  });
  await assert.rejects(world.found(), { code: "precondition/joining" });
  await reached.promise;
  assert(!await exists(`${world.folder}/init`));
});
