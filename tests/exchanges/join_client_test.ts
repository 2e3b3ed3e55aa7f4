import { measureSpeed, slowdownOf } from "../tools/machine_speed.ts";
import assert from "node:assert/strict";
import { TPM_SETTINGS } from "../../attestation/testing/trust.ts";
import { join } from "node:path";
import type { EvidenceIssuer } from "../../attestation/evidence.ts";
import { generateKeyPair } from "../../certificate/keys.ts";
import { equalBytes } from "../../platform/bytes.ts";
import { systemClock } from "../../platform/clock.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { exists } from "../../platform/files.ts";
import { createLog } from "../../platform/log.ts";
import { TestCluster } from "./join_world.ts";
import { listenForJoins } from "../../service/testing/join_listener.ts";
import { TestMachine } from "./join_machine.ts";

const JOIN = [
  ...["(kubeadm-join)", "certificates", "join https://127.0.0.1:6443"],
  ...["(kubelet-healthy)", "start", "healthy", "(node-registered)", "registered"],
];

Deno.test("runJoinClient() goes through every step in order, and leaves neither key nor ticket", async () => {
  await using cluster = await TestCluster.create();
  await using machine = await TestMachine.create();
  assert.equal(await machine.run(cluster.trust, [cluster.port]), "joined");
  assert.deepEqual(machine.calls, ["(join-ticket)", "(join-preflight)", "preflight", "(join-lock)", "locked", ...JOIN]);
  assert.deepEqual([...Deno.readDirSync(machine.runFolder)], []);
  const state = machine.lock.state();
  assert.ok(state.name === "locked" && state.lock.owner === "join");
  assert.deepEqual(state.lock.clusterId, cluster.clusterId);
});

Deno.test("runJoinClient() waits for a service that is not there yet, and notices it soon after its start", async () => {
  const port = await freePort();
  const operator = await generateKeyPair("ed25519");
  await using machine = await TestMachine.create();
  const unreachable = Promise.withResolvers<void>();
  const trust = { clusterName: "test", clusterId: new Uint8Array(0), operatorKeys: [operator.spki], ...TPM_SETTINGS };
  const running = machine.run(trust, [port], {}, { onEndpointFailure: () => unreachable.resolve() });
  await unreachable.promise;
  await using _cluster = await TestCluster.create({ operator, port });
  const start = performance.now();
  assert.equal(await running, "joined");
  // Time here is that of a quiet machine; this one may be slower, or busy.
  const tookMs = (performance.now() - start) / slowdownOf(await measureSpeed());
  assert.ok(tookMs < 1_500, `it took ${tookMs} ms`);
});

Deno.test("runJoinClient() asks all services at once, takes one ticket, and reports what the others said", async () => {
  await using cluster = await TestCluster.create();
  await using stranger = await TestCluster.create();
  await using machine = await TestMachine.create();
  // The stranger is the first to answer: the right service starts to listen only when the stranger was refused.
  const port = await freePort();
  const refused = Promise.withResolvers<void>();
  const running = machine.run(cluster.trust, [stranger.port, await freePort(), port], {}, {
    onEndpointFailure: ({ endpoint, error }) => {
      machine.failures.push({ endpoint, code: error.code });
      if (error.code === "refused/founding-operator") refused.resolve();
    },
  });
  await refused.promise;
  assert.equal(machine.lock.state().name, "unlocked");
  await using late = await TestCluster.create({ operator: cluster.operator, ca: cluster.ca, port });
  assert.equal(await running, "joined");
  assert.deepEqual(late.signed, ["worker-1"]);
  assert.deepEqual(stranger.admissions.records, []);
  const said = machine.failures.filter(({ endpoint }) => endpoint === `127.0.0.1:${stranger.port}`);
  assert.deepEqual(new Set(said.map(({ code }) => code)), new Set(["refused/founding-operator"]));
});

Deno.test("runJoinClient() asks once when several services of the cluster answer", async () => {
  await using cluster = await TestCluster.create();
  const { operator, ca } = cluster;
  await using second = await TestCluster.create({ operator, ca });
  await using third = await TestCluster.create({ operator, ca });
  await using machine = await TestMachine.create();
  assert.equal(await machine.run(cluster.trust, [cluster.port, second.port, third.port]), "joined");
  assert.equal(cluster.signed.length + second.signed.length + third.signed.length, 1);
});

Deno.test("runJoinClient() joins neither of two clusters that were founded under its name, and shows both", async () => {
  await using first = await TestCluster.create();
  // A service that shows itself and then stops: the node cannot get a ticket before it sees the other service.
  await using second = await TestCluster.create({ operator: first.operator });
  await using machine = await TestMachine.create();
  const slow = {
    issue: () => new Promise<never>(() => {}),
    activate: () => new Promise<never>(() => {}),
    ownIdentity: () => new Promise<never>(() => {}),
  };
  const running = machine.run(first.trust, [first.port, second.port], {
    issuer: { variant: "none", isChallenged: false, ...slow },
  });
  await assert.rejects(running, (error: unknown) => {
    assert.ok(error instanceof BootstrapError && error.code === "conflict/two-foundings");
    for (const { clusterId } of [first, second]) assert.ok(error.message.includes(clusterId.toHex()), error.message);
    return true;
  });
  assert.equal(machine.lock.state().name, "unlocked");
  assert.deepEqual([...first.signed, ...second.signed], []);
});

Deno.test("runJoinClient() refuses a service that shows foundings of two clusters, unless it knows its cluster's ID", async () => {
  await using other = await TestCluster.create();
  const foreign = other.service.identity.foundings;
  await using cluster = await TestCluster.create({ operator: other.operator });
  const { identity } = cluster.service;
  const service = { ...cluster.service, identity: { ...identity, foundings: [...foreign, ...identity.foundings] } };
  await using both = await listenForJoins(service, { host: "127.0.0.1", port: 0 });
  await using unsure = await TestMachine.create();
  await assert.rejects(unsure.run(cluster.trust, [both.port]), { code: "conflict/two-foundings" });
  assert.equal(unsure.lock.state().name, "unlocked");
  assert.deepEqual(cluster.signed, []);
  await using sure = await TestMachine.create();
  assert.equal(await sure.run({ ...cluster.trust, clusterId: cluster.clusterId }, [both.port]), "joined");
});

Deno.test("runJoinClient() joins the one of two clusters whose ID is configured", async () => {
  await using first = await TestCluster.create();
  await using second = await TestCluster.create({ operator: first.operator });
  await using machine = await TestMachine.create();
  const trust = { ...first.trust, clusterId: second.clusterId };
  assert.equal(await machine.run(trust, [first.port, second.port]), "joined");
  assert.deepEqual(first.signed, []);
  assert.deepEqual(second.signed, ["worker-1"]);
});

Deno.test("runJoinClient() ends as lost when the InitServer has the node, before or during the search", async () => {
  await using cluster = await TestCluster.create();
  await using machine = await TestMachine.create();
  const other = new Uint8Array(32).fill(7);
  machine.aroundStep = async (name, work) => {
    if (name === "join-lock") assert.ok(await machine.lock.take({ owner: "init", clusterId: other }));
    return await work();
  };
  const running = machine.run(cluster.trust, [cluster.port]);
  assert.equal(await running, "lost");
  assert.equal(await machine.run(cluster.trust, [cluster.port]), "lost");
  const state = machine.lock.state();
  assert.ok(state.name === "locked" && equalBytes(state.lock.clusterId, other));
  assert.ok(!machine.calls.some((call) => call.startsWith("join ")));
});

Deno.test("runJoinClient() stops at once when its signal aborts, and leaves the node fresh", async (t) => {
  for (const place of ["join-ticket", "join-preflight", "join-lock"]) {
    await t.step(place, async () => {
      await using cluster = await TestCluster.create();
      await using machine = await TestMachine.create();
      machine.aroundStep = async (name, work) => {
        if (name === place) machine.stop.abort();
        return await work();
      };
      const running = machine.run(cluster.trust, [cluster.port]);
      await assert.rejects(running, { code: "aborted/join" });
      assert.equal(machine.lock.state().name, "unlocked");
      assert.ok(!machine.calls.includes("locked"));
    });
  }
});

Deno.test("runJoinClient() stops at once even if its TPM never answers", async () => {
  await using cluster = await TestCluster.create();
  await using machine = await TestMachine.create();
  const issuing = Promise.withResolvers<void>();
  const never = () => {
    issuing.resolve();
    return new Promise<never>(() => {});
  };
  const issuer: EvidenceIssuer = {
    variant: "none",
    isChallenged: false,
    issue: never,
    activate: never,
    ownIdentity: never,
  };
  const running = machine.run(cluster.trust, [cluster.port], { issuer });
  await issuing.promise;
  machine.stop.abort();
  await assert.rejects(running, { code: "aborted/join" });
});

Deno.test("runJoinClient() does not lock a machine whose preflight fails, and goes on when it is repaired", async () => {
  await using cluster = await TestCluster.create();
  await using machine = await TestMachine.create();
  machine.preflightFailures.push("CRI");
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  assert.equal(await machine.run(cluster.trust, [cluster.port], { clock }), "joined");
  assert.deepEqual(machine.calls.filter((call) => ["preflight", "locked"].includes(call)), [
    ...["preflight", "preflight", "locked"],
  ]);
  assert.deepEqual(cluster.signed, ["worker-1"], "the ticket serves for the next try");
});

Deno.test("runJoinClient() asks no service for a ticket while the machine's own checks fail", async () => {
  await using cluster = await TestCluster.create();
  await using machine = await TestMachine.create();
  const failures = [1, 2, 3].map((count) => [{ check: "swap", reason: `swap is on, ${count}` }]);
  const signed: number[] = [];
  const localChecks = () => {
    signed.push(cluster.signed.length);
    return Promise.resolve(failures.shift() ?? []);
  };
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  const failed: string[] = [];
  const onStepFailure = ({ message }: BootstrapError) => failed.push(message);
  assert.equal(await machine.run(cluster.trust, [cluster.port], { clock, localChecks }, { onStepFailure }), "joined");
  assert.deepEqual(signed, [0, 0, 0, 0]);
  assert.deepEqual(cluster.signed, ["worker-1"]);
  assert.match(failed[0] ?? "", /swap: swap is on, 1/);
});

Deno.test("runJoinClient() asks for a fresh ticket of the same cluster when kubeadm join fails after the lock", async () => {
  await using cluster = await TestCluster.create();
  await using machine = await TestMachine.create();
  machine.joinErrors.push(new BootstrapError("system/kubeadm", "kubeadm join failed"));
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  assert.equal(await machine.run(cluster.trust, [cluster.port], { clock }), "joined");
  assert.deepEqual(cluster.signed, ["worker-1", "worker-1"]);
  assert.equal(machine.calls.filter((call) => call === "locked").length, 1);
});

Deno.test("runJoinClient() waits for minutes, and does not end, when only people can fix a failure after the lock", async () => {
  await using cluster = await TestCluster.create();
  await using machine = await TestMachine.create();
  machine.joinErrors.push(
    ...Array.from({ length: 8 }, () => new BootstrapError("conflict/etcd-member", "another member has the name")),
    new BootstrapError("system/file", "the disk is full"),
    new BootstrapError("system/etcd", "etcd failed"),
    new BootstrapError("system/listen", "the port is in use"),
  );
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  const events: Record<string, unknown>[] = [];
  const log = createLog(systemClock, (line) => events.push(JSON.parse(line)));
  const failures: string[] = [];
  const onStepFailure = ({ code }: BootstrapError) => failures.push(code);
  assert.equal(await machine.run(cluster.trust, [cluster.port], { clock, log }, { onStepFailure }), "joined");
  assert.deepEqual(failures, [...Array(8).fill("conflict/etcd-member"), "system/file", "system/etcd", "system/listen"]);
  const pauses = events.filter(({ event }) => event === "join-not-finished").map(({ pauseMs }) => Number(pauseMs));
  assert.equal(pauses.length, 11);
  assert.ok(pauses.every((ms) => ms >= 10_000) && pauses.slice(5, 9).every((ms) => ms >= 90_000), pauses.join());
  assert.equal(machine.calls.filter((call) => call === "locked").length, 1);
});

Deno.test("runJoinClient() ends when a device fails after the lock, as a new process opens it anew", async () => {
  for (const code of ["system/tpm-silent", "system/tsm", "system/tdx-quote", "system/device"] as const) {
    await using cluster = await TestCluster.create();
    await using machine = await TestMachine.create();
    machine.joinErrors.push(new BootstrapError(code, "the device failed"));
    await assert.rejects(machine.run(cluster.trust, [cluster.port]), { code });
  }
});

Deno.test("runJoinClient() goes on with the same cluster and key when it is started again on a node that it locked", async () => {
  await using cluster = await TestCluster.create();
  await using other = await TestCluster.create({ operator: cluster.operator });
  await using machine = await TestMachine.create();
  machine.joinErrors.push(new BootstrapError("internal/unexpected", "the process dies here"));
  await assert.rejects(machine.run(cluster.trust, [cluster.port]), { code: "internal/unexpected" });
  const key = cluster.admissions.records[0]?.nodeKey;
  assert.ok(await exists(join(machine.runFolder, "node.key")));
  assert.equal((await Deno.stat(join(machine.runFolder, "node.key"))).mode ?? 0 & 0o777, 0o100600);
  await machine.restart();
  machine.calls.length = 0;
  assert.equal(await machine.run(cluster.trust, [other.port, cluster.port]), "joined");
  assert.deepEqual(machine.calls, ["(kubeadm-join)", "(join-ticket)", ...JOIN.slice(1)]);
  assert.equal(cluster.admissions.records[0]?.nodeKey, key);
  assert.deepEqual(other.signed, []);
  assert.deepEqual(other.admissions.records, []);
});

Deno.test("runJoinClient() needs no service when the kubelet has its own credentials already", async () => {
  await using machine = await TestMachine.create();
  const clusterId = new Uint8Array(32).fill(5);
  await machine.journals.keep(machine.journals.draft(), clusterId);
  await machine.lock.take({ owner: "join", clusterId });
  machine.joined = true;
  const kubeadm = {
    preflight: () => Promise.reject(new Error("not asked")),
    join: () => Promise.resolve(void machine.calls.push("join")),
  };
  const trust = { clusterName: "test", clusterId: new Uint8Array(0), operatorKeys: [], ...TPM_SETTINGS };
  assert.equal(await machine.run(trust, [await freePort()], { kubeadm }), "joined");
  assert.deepEqual(machine.calls, ["(kubeadm-join)", "join", ...JOIN.slice(3)]);
  assert.deepEqual(machine.failures, []);
});

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return Promise.resolve((listener.addr as Deno.NetAddr).port);
}
