/** Tests of the turn that a join service keeps for a control plane. */
import assert from "node:assert/strict";
import { identityOfKey, readOrCreateIdentityKey } from "../protocol/node_keys.ts";
import { newKit } from "../protocol/testing/kit.ts";
import { TestCluster } from "../tests/exchanges/join_world.ts";
import { TestMachine } from "../tests/exchanges/join_machine.ts";
import { systemClock } from "../platform/clock.ts";
import type { ControlPlaneMaker } from "./joining.ts";
import { sealKit } from "../protocol/sealed_kit.ts";

/** A cluster that gives its turn to every node that asks, and a machine that asks. */
async function world() {
  const { kit, ca } = await newKit();
  const freed: string[] = [];
  const released = Promise.withResolvers<void>();
  const cluster = await TestCluster.create({
    ca,
    service: {
      roleOf: () => "control-plane",
      controlPlanes: {
        enter: () => Promise.resolve(),
        release: (whose) => (freed.push(whose), Promise.resolve(released.resolve())),
        seal: (sealingKey, a2) => sealKit(sealingKey, a2, kit),
      },
    },
  });
  return { cluster, freed, released: released.promise, machine: await TestMachine.create("control-plane") };
}

const isTicketIssued = ({ event }: Record<string, unknown>) => event === "join-ticket-issued";

Deno.test("runJoinClient() frees a control plane's turn when the node goes to the InitServer", async () => {
  const { cluster, freed, released, machine } = await world();
  await using _ = cluster;
  await using node = machine;
  node.aroundStep = async (name, work) => {
    if (name === "join-lock") await node.lock.take({ owner: "init", clusterId: new Uint8Array(32).fill(7) });
    return await work();
  };
  assert.equal(await node.run(cluster.trust, [cluster.port]), "lost");
  await released;
  assert.deepEqual(freed, [await identityOfKey((await readOrCreateIdentityKey(node.stateFolder)).spki)]);
});

Deno.test("runJoinClient() keeps a control plane's turn when the node is locked, and when it is stopped before the lock", async () => {
  const { cluster, freed, machine } = await world();
  await using _ = cluster;
  await using node = machine;
  node.aroundStep = async (name, work) => {
    if (name === "join-preflight") node.stop.abort();
    return await work();
  };
  await assert.rejects(node.run(cluster.trust, [cluster.port]), { code: "aborted/join" });
  assert.equal(node.lock.state().name, "unlocked");

  await using other = await TestMachine.create("control-plane");
  const self = { name: "cp-2", address: "192.0.2.8", role: "control-plane" } as const;
  assert.equal(await other.run(cluster.trust, [cluster.port], { self }), "joined");
  assert.equal(cluster.events.filter(isTicketIssued).length, 2);
  assert.deepEqual(freed, []);
  for (const call of ["keys", "kubeadm prepare", "kubeadm etcd", "kubeadm finish", "join-service"]) {
    assert.ok(other.calls.includes(call), call);
  }
});

Deno.test("runJoinClient() of a broken control plane asks once for the cluster's keys, frees its turn, and checks itself first", async () => {
  const { cluster, freed, machine } = await world();
  await using _ = cluster;
  await using node = machine;
  const answers: readonly (readonly string[])[] = [[], ["images"], ["images"], ["images"], [], []];
  const asked: string[] = [];
  const note = (what: string) => {
    const failed = answers[asked.length] ?? [];
    asked.push(`${what} ${node.calls.filter((call) => call === "(join-ticket)").length}`);
    if (asked.length > answers.length) node.stop.abort();
    return Promise.resolve(failed.map((check) => ({ check, reason: "an image is missing" })));
  };
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  const controlPlane: ControlPlaneMaker = {
    preflight: () => note("preflight"),
    checkAgain: () => note("again"),
    hasKeys: () => Promise.resolve(true),
    installKeys: () => Promise.resolve(),
    isVoter: () => Promise.resolve(false),
    resume: () => Promise.resolve(),
    run: () => Promise.resolve(),
    keepCutList: (work) => work(),
    startJoinService: () => Promise.resolve(),
  };
  assert.equal(await node.run(cluster.trust, [cluster.port], { clock, controlPlane }), "joined");
  assert.deepEqual(asked, ["again 0", "preflight 1", "again 1", "again 1", "again 1", "preflight 2"]);
  assert.equal(freed.length, 1);
});
