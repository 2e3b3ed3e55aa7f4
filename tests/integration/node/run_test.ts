/**
 * `bootstrapper run` and `bootstrapper init` as processes, from fresh machines to a cluster, through every `kill -9`.
 */
import { JOIN_SERVICE_UNITS } from "../../../node/join_service_units.ts";
import assert from "node:assert/strict";
import * as v from "valibot";
import { parse } from "yaml";
import { dial } from "../../../channel/client.ts";
import { createInsecureVerifier } from "../../../attestation/kinds/none/verifier.ts";
import { readPrivateKeyPem } from "../../../certificate/keys.ts";
import { INIT_CLIENT_DEADLINES, verifyNode } from "../../../operator/exchange_client.ts";
import { InitServiceService } from "../../../proto/gen/bootstrapper.ts";
import type { InitClientMessage, InitServerMessage } from "../../../proto/gen/bootstrapper.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import type { RunMachine } from "./run_machine.ts";
import { CLUSTER_NAME, RunWorld } from "./run_machine.ts";
import { RunOperator } from "./run_operator.ts";
import type { BootstrapperProcess } from "./run_process.ts";
import { PATIENCE_MS } from "./run_process.ts";

const LOCK = "/var/lib/bootstrapper/node.lock";
const JOURNAL = "/var/lib/bootstrapper/journal/init";
const INIT_PHASES = ["preflight", "lock", "certificates", "kubeadm-init", "access", "join-service", "kubelet"];

type Step = (name: string, work: () => Promise<void>) => Promise<void>;

/** Registers a test that ends with its first failed step, and reports where the logs are. */
function runTest(name: string, body: (step: Step, world: RunWorld, operator: RunOperator) => Promise<void>): void {
  Deno.test(name, async (t) => {
    await using world = await RunWorld.create();
    try {
      const step: Step = async (title, work) => {
        if (!await t.step(title, work)) throw new Error(`Cannot go on after "${title}"`);
      };
      await body(step, world, await RunOperator.create(world));
    } catch (cause) {
      throw new Error(`Logs are in ${world.world.logs}`, { cause });
    }
  });
}

const timelineSchema = v.object({ phases: v.array(v.object({ name: v.string(), outcome: v.string() })) });

/** The outcome of each run of a phase on a machine. */
async function outcomes({ node }: RunMachine, phase: string): Promise<readonly string[]> {
  const { phases } = v.parse(timelineSchema, JSON.parse(await node.read("/var/lib/bootstrapper/timeline.json")));
  return phases.filter(({ name }) => name === phase).map(({ outcome }) => outcome);
}

async function raceStates(running: BootstrapperProcess): Promise<readonly unknown[]> {
  return (await running.events()).filter(({ event }) => event === "race").map(({ state }) => state);
}

async function assertMember(machine: RunMachine): Promise<void> {
  const status = JSON.parse(await machine.node.read("/var/lib/bootstrapper/status.json"));
  assert.equal(status.phase, "member");
  const again = machine.start();
  assert.equal(await again.exitCode(), 0, await again.output());
  assert.deepEqual(await raceStates(again), ["member"]);
  const phases = (await again.events()).filter(({ event }) => event === "phase-started").map(({ phase }) => phase);
  assert.deepEqual(phases, ["detect"]);
}

runTest("run makes a cluster from fresh machines: one by init, the others by join", async (step, world, operator) => {
  const controlPlane = await world.machine("cp-1", operator.publicKey, { init: true, joinAt: ["worker-1"] });
  const worker = await world.machine("worker-1", operator.publicKey, { init: false, joinAt: ["cp-1"] });
  const contested = await world.machine("contested", operator.publicKey, { init: true, joinAt: ["cp-1"] });
  let joining = worker.start();

  await step("SIGTERM ends it while it waits, and the machine stays fresh", async () => {
    await joining.event({ event: "join-endpoint-unreachable" });
    assert.equal(await joining.kill("SIGTERM"), 0, await joining.output());
    await joining.event({ event: "stopped" });
    assert.equal(await worker.file(LOCK), undefined);
    joining = worker.start();
  });

  await step(
    "an init by a policy that does not allow a switch of the machine is refused, and the machine stays fresh",
    async () => {
      const running = controlPlane.start();
      await running.event({ event: "init-server-listening" });
      await operator.setPolicy("{version: 1, variant: none}\n");
      const init = operator.init(controlPlane);
      assert.equal(await init.exitCode(), 1, await init.output());
      const output = await init.output();
      assert.match(output, /precondition\/insecure-switch/);
      assert.match(output, /allowUnmeasuredImage: true, which the policy of the init does not allow/);
      assert.equal(await controlPlane.file(LOCK), undefined);
      assert.equal(await running.kill("SIGTERM"), 0, await running.output());
      await operator.setPolicy();
    },
  );

  await step("an operator's init wins on a machine that also looks for a join service", async () => {
    const running = controlPlane.start();
    await running.event({ event: "init-server-listening" });
    await running.event({ event: "join-endpoint-unreachable" });
    const init = operator.init(controlPlane);
    assert.equal(await init.exitCode(), 0, await init.output());
    assert.equal(await running.exitCode(), 0, await running.output());
    await running.event({ event: "race-lost", contender: "join", code: "aborted/lost-race" });
    assert.deepEqual(await raceStates(running), ["racing", "initialising", "member"]);
    const said = (await running.events()).map(({ event }) => String(event));
    assert.deepEqual(said.slice(said.indexOf("race-lost")).filter((event) => event.startsWith("join-")), []);

    const events = await init.events();
    // A busy API server may leave the wait for the Node without an answer.
    const others = ["progress", "api-server-unreachable"];
    const kinds = events.map(({ event }) => event).filter((kind) => !others.includes(String(kind)));
    assert.deepEqual(kinds, ["insecure", "policy-remark", "policy-remark", "verified", "waiting", "founded"]);
    const progress = events.filter(({ event }) => event === "progress");
    assert.deepEqual(progress.map(({ number }) => number), progress.map((_, index) => index + 1));
    for (const state of ["started", "done"]) {
      assert.deepEqual(progress.filter((event) => event["state"] === state).map(({ phase }) => phase), INIT_PHASES);
    }
  });

  await step("the operator has a kubeconfig that works, and a cluster file", async () => {
    assert.equal((await Deno.stat(operator.path("kubeconfig"))).mode, 0o100600);
    assert.ok((await operator.nodes()).includes("node/cp-1"));
    const cluster = parse(await Deno.readTextFile(operator.path("cluster-file.yaml")));
    const { ip } = controlPlane.node;
    assert.deepEqual(Object.keys(cluster), [
      ...["version", "clusterName", "clusterId", "founding", "apiEndpoints", "joinEndpoints"],
    ]);
    assert.equal(cluster.clusterName, CLUSTER_NAME);
    assert.equal(cluster.clusterId, JSON.parse(await controlPlane.node.read(LOCK)).clusterId);
    assert.deepEqual([cluster.apiEndpoints, cluster.joinEndpoints], [[`${ip}:6443`], [`${ip}:9444`]]);
  });

  await step("the worker that was stopped is started again and joins", async () => {
    assert.equal(await joining.exitCode(), 0, await joining.output());
    assert.deepEqual(await raceStates(joining), ["racing", "joining", "member"]);
    assert.ok(!(await joining.events()).some(({ event }) => event === "race-lost"), "no init competed");
    assert.deepEqual(await operator.nodes(), ["node/cp-1", "node/worker-1"]);
    assert.equal(JSON.parse(await worker.node.read(LOCK)).owner, "join");
  });

  await step("started again on a member, it exits at once", async () => {
    await Promise.all([assertMember(controlPlane), assertMember(worker)]);
  });

  await step("a ticket wins while an operator's init is under way, and the operator is told why", async () => {
    for (const unit of JOIN_SERVICE_UNITS) await controlPlane.systemctl("stop", unit);
    const running = contested.start();
    await running.event({ event: "init-server-listening" });
    using dialled = await dial<InitServerMessage, InitClientMessage>({
      method: InitServiceService.init,
      endpoint: `${contested.node.ip}:9443`,
      connectDeadlineMs: PATIENCE_MS,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const key = await readPrivateKeyPem(await Deno.readTextFile(operator.path("operator.key")), "the operator's key");
    const anything = () => Promise.resolve({ trust: [], lock: [], identity: "" });
    await verifyNode(dialled.exchange, key, createInsecureVerifier(), anything, INIT_CLIENT_DEADLINES);
    const refusal = assert.rejects(dialled.exchange.receive("progress", PATIENCE_MS), { code: "precondition/joining" });
    for (const unit of JOIN_SERVICE_UNITS) await controlPlane.systemctl("start", unit);
    await refusal;
    await running.event({ event: "race-lost", contender: "init", code: "precondition/joining" });
    assert.equal(await running.exitCode(), 0, await running.output());
    assert.deepEqual(await operator.nodes(), ["node/contested", "node/cp-1", "node/worker-1"]);
  });
});

runTest("run goes on by itself after kill -9, and so does the operator's init", async (step, world, operator) => {
  const controlPlane = await world.machine("cp-1", operator.publicKey, { init: true });
  const worker = await world.machine("worker-1", operator.publicKey, { init: false, joinAt: ["cp-1"] });
  let clusterId: unknown;
  let lock: string | undefined;
  let caKey: string | undefined;
  /** SIGTERM reaches kubeadm too, and the process may end before it can record that. */
  const initOutcomes = async () =>
    (await outcomes(controlPlane, "kubeadm-init")).map((outcome, index) =>
      index === 1 && /^(?:failed|interrupted)$/.test(outcome) ? "ended" : outcome
    );

  await step("run is killed in kubeadm init; init waits for it, and is killed as well", async () => {
    const running = controlPlane.start();
    await running.event({ event: "init-server-listening" });
    const init = operator.init(controlPlane);
    clusterId = (await init.event({ event: "verified" }))["clusterId"];
    await init.event({ event: "progress", phase: "kubeadm-init", state: "detail" });
    await running.kill();
    const { lastSeen } = await init.event({ event: "reconnecting" });
    assert.match(String(lastSeen), /^the step kubeadm-init /);
    await init.kill();
    lock = await controlPlane.file(LOCK);
    caKey = await controlPlane.file("/etc/kubernetes/pki/ca.key");
    assert.equal(JSON.parse(lock ?? "{}").clusterId, clusterId);
  });

  await step("started again, run goes on with kubeadm init, and is ended by SIGTERM", async () => {
    const running = controlPlane.start();
    await running.event({ event: "phase-started", phase: "kubeadm-init" });
    assert.equal(await running.kill("SIGTERM"), 0, await running.output());
    await running.event({ event: "stopped" });
  });

  await step("started again, run finishes alone, and is killed when the cluster stands", async () => {
    const running = controlPlane.start();
    const what = "done step kubelet in the journal";
    await waitUntil({ what, deadlineMs: PATIENCE_MS, everyMs: 10 }, async () => {
      const journal = await controlPlane.file(JOURNAL) ?? "";
      return /"name":"kubelet","attempts":\d+,"begun":"[^"]+","done"/.test(journal) || undefined;
    });
    await running.kill();
    assert.deepEqual(await initOutcomes(), ["interrupted", "ended", "succeeded"]);
  });

  await step("another run hands the same operation to the operator, who was killed too", async () => {
    const running = controlPlane.start();
    await running.event({ event: "init-server-listening" });
    const init = operator.init(controlPlane);
    assert.equal(await init.exitCode(), 0, await init.output());
    assert.equal(await running.exitCode(), 0, await running.output());
    await init.event({ event: "verified", again: true, clusterId });
    await init.event({ event: "founded", clusterId });
    assert.deepEqual(await operator.nodes(), ["node/cp-1"]);
    assert.deepEqual(await initOutcomes(), ["interrupted", "ended", "succeeded"]);
    assert.equal(await controlPlane.file(LOCK), lock);
    assert.equal(await controlPlane.file("/etc/kubernetes/pki/ca.key"), caKey);
    await assertMember(controlPlane);
  });

  await step("a joining run is killed as soon as it has the lock, and again in kubeadm join", async () => {
    const first = worker.start();
    await first.event({ event: "race", state: "joining" });
    await first.kill();
    const joinLock = await worker.file(LOCK);
    const second = worker.start();
    await second.event({ event: "phase-started", phase: "kubeadm-join" });
    await second.kill();
    const third = worker.start();
    assert.equal(await third.exitCode(), 0, await third.output());
    assert.equal(await worker.file(LOCK), joinLock);
    assert.deepEqual(await outcomes(worker, "join-lock"), ["succeeded"]);
    assert.deepEqual(await operator.nodes(), ["node/cp-1", "node/worker-1"]);
    await assertMember(worker);
  });
});
