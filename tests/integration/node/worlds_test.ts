/**
 * *World × moment*: the load balancer, DNS and the API server, before the lock and after it, on a founder and on a worker.
 * What the operator hears, what `status` says, and how it ends is in `docs/troubles.md`. kubeadm, etcd and the API server
 * are the real ones.
 *
 * `run` and `init` have a proxy in their environment which never answers.
 */
import assert from "node:assert/strict";
import { GO_FILE } from "../crash/crash_points.ts";
import { ENDPOINT, hosts, LoadBalancer } from "./_balancer.ts";
import { proxied, settle } from "./_surroundings.ts";
import { assertRow, says, until } from "./_world_table.ts";
import { RunWorld } from "./run_machine.ts";
import { RunOperator } from "./run_operator.ts";

/** The name of the first control plane among the join endpoints. */
const SERVICE = "first.example.internal";
/** Longer than the time in which an API server gives up a request to etcd. */
const ETCD_STOPS_MS = 45_000;
/** Longer than the pause between two tries of an operator who waits. */
const SETTLES_MS = 5_000;

Deno.test("whatever goes wrong around a machine, it is said, and what time mends goes on by itself", async (t) => {
  await using world = await RunWorld.create();
  const step = async (title: string, work: () => Promise<void>) => {
    if (!await t.step(title, work)) throw new Error(`Cannot go on after "${title}"; logs are in ${world.world.logs}`);
  };
  const operator = await RunOperator.create(world);
  await settle(operator);
  const balancer = await LoadBalancer.create(await world.world.node("balancer"));
  const first = await world.machine("cp-1", operator.publicKey, { init: true });
  const all = [first.node, operator.laptop];
  const founder = `${first.node.ip} ${SERVICE}`;

  const running = proxied(() => first.start(undefined, { heldBefore: "access" }));
  await running.event({ event: "init-server-listening" });
  const init = proxied(() => operator.init(first, ["--wait", "10m"]));
  await step("etcd stands still while the operator's access is made", async () => {
    await init.event({ event: "progress", phase: "kubeadm-init", state: "done" });
    await first.shell(`pkill -STOP -x etcd; touch ${GO_FILE}`);
    const heard = await says(init, { event: "progress", phase: "access", state: "waiting" });
    await assertRow(first.node, "etcd stands still", "init, locked", heard);
  });

  await step("the API server is silent while the operator's access is made", async () => {
    const tries = async () => (await init.events()).filter(({ state }) => state === "waiting").length;
    const before = await tries();
    await first.shell("pkill -STOP -x kube-apiserver; pkill -CONT -x etcd");
    await until("another failed try", async () => await tries() > before);
    const heard = await says(init, { event: "progress", phase: "access", state: "waiting" });
    await assertRow(first.node, "API server silent", "init, locked", heard);
    await first.shell("pkill -CONT -x kube-apiserver");
  });

  await step("the endpoint's name is unknown to all: the founding needs no load balancer", async () => {
    await init.event({ event: "waiting", node: "cp-1" });
    const heard = await says(init, { event: "api-server-unreachable" });
    await assertRow(first.node, "DNS late", "init, founded", heard);
  });

  await step("the name is there, and no load balancer listens", async () => {
    await hosts(all, [`${balancer.ip} ${ENDPOINT}`, founder]);
    await sleep(SETTLES_MS);
    const heard = await says(init, { event: "api-server-unreachable" });
    await assertRow(first.node, "load balancer late", "init, founded", heard);
  });

  await step("the load balancer leads to another server", async () => {
    await balancer.set("wrong");
    balancer.start();
    const heard = await says(init, { event: "api-server-unreachable", code: "unavailable/kubernetes-api-tls" });
    await assertRow(first.node, "load balancer wrong", "init, founded", heard);
  });

  await step("the load balancer does not lead a server's calls back to itself: founded, and Ready", async () => {
    await balancer.set(`no-hairpin ${first.node.ip}`);
    assert.equal(await init.exitCode(), 0, await init.output());
    assert.equal(await running.exitCode(), 0, await running.output());
    await assertRow(first.node, "load balancer without hairpin", "init");
    // So far, `init` and `run` had a proxy that never answers.
    await assertRow(first.node, "proxy in the environment", "init");
  });

  await balancer.certify(first);
  const worker = await world.machine("worker-1", operator.publicKey, { init: false, joinAt: ["cp-1"] });
  await worker.shell(`sed -i 's/${first.node.ip}:/${SERVICE}:/' /etc/bootstrapper/config.yaml`);
  const joining = proxied(() => worker.start());
  await step("a worker does not know the join service's name", async () => {
    const { message } = await joining.event({ event: "join-endpoint-unreachable" });
    await assertRow(worker.node, "DNS late", "join, ticket", String(message));
  });

  await step("etcd stands still when the worker asks for a ticket", async () => {
    await first.shell("pkill -STOP -x etcd");
    await hosts([worker.node], [`${balancer.ip} ${ENDPOINT}`, founder]);
    await sleep(ETCD_STOPS_MS);
    await assertRow(worker.node, "etcd stands still", "join, ticket");
    assert.equal(await worker.file("/var/lib/bootstrapper/node.lock"), undefined);
    await balancer.set("silent");
    await first.shell("pkill -CONT -x etcd");
  });

  /** Asserts a row of a worker that has a ticket, and found out before its lock. */
  const stillFresh = async (world: string, before: number) => {
    const tries = async () => (await joining.events()).filter(({ event }) => event === "join-not-prepared");
    await until("a try that failed", async () => (await tries()).length > before);
    await assertRow(worker.node, world, "join, ticket", String((await tries()).at(-1)?.["message"]));
    assert.equal(await worker.file("/var/lib/bootstrapper/node.lock"), undefined);
    return (await tries()).length;
  };
  let tries = 0;
  await step("the load balancer leads to nobody: the worker finds out before its lock", async () => {
    tries = await stillFresh("API server silent", tries);
  });

  await step("nothing listens at the cluster's endpoint: the worker finds out before its lock", async () => {
    await balancer.stop();
    // A try may be under way that saw the load balancer.
    tries = await stillFresh("API server down", tries + 1);
  });

  await step("the API server says that etcd timed out: the worker finds out before its lock", async () => {
    await balancer.set("errors");
    balancer.start();
    tries = await stillFresh("API server answers with 500", tries + 1);
  });

  await step("the load balancer leads to another server: the worker finds out before its lock", async () => {
    await balancer.stop();
    await balancer.set("wrong");
    balancer.start();
    await stillFresh("load balancer wrong", tries + 1);
  });

  await step("the API server says that etcd timed out while the locked worker's kubeadm joins", async () => {
    await balancer.stop();
    await balancer.set(`pass ${first.node.ip}`);
    balancer.start();
    await joining.event({ event: "phase-started", phase: "kubeadm-join" });
    await worker.shell("until pkill -STOP -x kubeadm; do sleep 0.01; done");
    await balancer.stop();
    await balancer.set("errors");
    balancer.start();
    await worker.shell("pkill -CONT -x kubeadm");
    const { message } = await joining.event({ event: "join-not-finished" });
    await assertRow(worker.node, "API server answers with 500", "join, locked", String(message));
    assert.notEqual(await worker.file("/var/lib/bootstrapper/node.lock"), undefined);
  });

  await step("the API server takes 30 s for each answer while the locked worker's kubeadm joins", async () => {
    await balancer.set(`slow ${first.node.ip}`);
    await until("an answer of the slow API server", () => balancer.wasSlow());
    // kubeadm waits 10 s for this answer.
    await assertRow(worker.node, "API server slow (30 s)", "join, locked");
    await balancer.set(`pass ${first.node.ip}`);
    assert.equal(await joining.exitCode(), 0, await joining.output());
    assert.deepEqual(await operator.nodes(), ["node/cp-1", "node/worker-1"]);
  });

  await step("a member whose address has changed is a member", async () => {
    const moved = worker.node.ip.replace(/\d+$/, "200");
    await worker.shell(`ip addr del ${worker.node.ip}/24 dev eth0; ip addr add ${moved}/24 dev eth0`);
    const again = worker.start();
    assert.equal(await again.exitCode(), 0, await again.output());
    await assertRow(worker.node, "address moved", "member");
  });
});

function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
