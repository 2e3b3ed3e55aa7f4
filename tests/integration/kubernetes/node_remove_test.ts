/** `bootstrapper node remove`, and the join service's part in it, against a real API server and a real etcd. */
import assert from "node:assert/strict";
import * as v from "valibot";
import { runRemovals } from "../../../service/removals.ts";
import type { AdmissionRecord } from "../../../kubernetes/admission_records.ts";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { EtcdCluster } from "../../../kubernetes/etcd.ts";
import type { NamedNode } from "../../../kubernetes/named_node.ts";
import { findNamedNode } from "../../../kubernetes/named_node.ts";
import { nodeRemovalSteps } from "../../../kubernetes/node_removal.ts";
import { checkNotBeingRemoved, RemovalRequests } from "../../../kubernetes/removal_requests.ts";
import { hex, randomBytes } from "../../../platform/bytes.ts";
import { systemClock } from "../../../platform/clock.ts";
import { createLog } from "../../../platform/log.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { TestCluster } from "./cluster.ts";
import { BOOTSTRAPPER } from "../node/run_process.ts";

const STEPS = ["request", "etcd", "cut", "node", "pods", "records", "end"];
const DEADLINE_MS = 60_000;

const nodes = v.object({ items: v.array(v.object({ metadata: v.object({ name: v.string() }) })) });

/** A cluster, and nodes of which only records exist. */
class Removals implements AsyncDisposable {
  readonly events: Record<string, unknown>[] = [];
  readonly #stop = new AbortController();
  #serving: Promise<void> | undefined;
  #ghosts = 0;

  private constructor(
    readonly cluster: TestCluster,
    readonly etcd: EtcdCluster,
    readonly service: KubernetesApi,
  ) {}

  static async create(cluster: TestCluster): Promise<Removals> {
    const pem = (name: string) => cluster.controlPlane.read(`/etc/kubernetes/pki/etcd/${name}`);
    const credentials = {
      caPem: await pem("ca.crt"),
      certificatePem: await pem("healthcheck-client.crt"),
      keyPem: await pem("healthcheck-client.key"),
    };
    const etcd = new EtcdCluster([`${cluster.controlPlane.ip}:2379`], credentials);
    return new Removals(cluster, etcd, new KubernetesApi(await cluster.joinService()));
  }

  /** Starts the removal work of a join service, with exactly its rights. */
  serve(): void {
    const log = createLog(systemClock, (line) => this.events.push(JSON.parse(line)));
    const { etcd, service } = this;
    this.#serving = runRemovals({ api: service, etcd, clock: systemClock, log }, this.#stop.signal);
  }

  /** Adds a control plane that was admitted, and has a Node and an etcd member that never started. */
  async addGhost(): Promise<string> {
    const { admin } = this.cluster;
    const name = `ghost-${++this.#ghosts}`;
    const address = `10.250.0.${this.#ghosts}`;
    await new AdmissionRecords(admin).admit({
      ...{ identity: hex(randomBytes(32)), nodeName: name, role: "control-plane", nodeKey: "AAAA" },
      ...{ addresses: [address], evidenceDigest: "00".repeat(32) },
    });
    await admin.create("/api/v1/nodes", { metadata: { name } }, v.unknown());
    await this.etcdctl("member", "add", name, "--learner", `--peer-urls=https://${address}:2380`);
    return name;
  }

  async etcdctl(...args: readonly string[]): Promise<void> {
    const pki = "/etc/kubernetes/pki/etcd";
    const { code, output } = await this.cluster.controlPlane.run([
      ...["etcdctl", "--endpoints=127.0.0.1:2379", `--cacert=${pki}/ca.crt`] as const,
      ...[`--cert=${pki}/healthcheck-client.crt`, `--key=${pki}/healthcheck-client.key`, ...args],
    ]);
    if (code !== 0) throw new Error(`etcdctl ${args.join(" ")}: ${output}`);
  }

  steps(node: NamedNode, deadlineMs = DEADLINE_MS) {
    return nodeRemovalSteps(node, { api: this.cluster.admin, clock: systemClock, deadlineMs });
  }

  async remove(name: string, deadlineMs = DEADLINE_MS): Promise<string[]> {
    const outcomes: string[] = [];
    for (const { run } of this.steps(await findNamedNode(this.cluster.admin, name), deadlineMs)) {
      outcomes.push(await run());
    }
    return outcomes;
  }

  /** Asserts that no trace of a node is left, and that nothing else is gone. */
  async assertOnlyControlPlane(): Promise<void> {
    const { admin } = this.cluster;
    const { items } = await admin.get("/api/v1/nodes", nodes);
    assert.deepEqual(items.map(({ metadata }) => metadata.name), ["cp-1"]);
    const maps = await admin.get("/api/v1/namespaces/bootstrapper-system/configmaps", nodes);
    const left = maps.items.map(({ metadata }) => metadata.name).filter((name) => name !== "kube-root-ca.crt");
    assert.deepEqual(left, []);
    assert.deepEqual((await this.etcd.members()).map(({ name }) => name), ["cp-1"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#serving;
    this.etcd[Symbol.dispose]();
    this.service[Symbol.dispose]();
  }
}

Deno.test("node remove frees a name: Node, admission records and etcd member", async (t) => {
  await using cluster = await TestCluster.create();
  await using removals = await Removals.create(cluster);
  const kubeconfig = cluster.controlPlane.path("/etc/kubernetes/admin.conf");
  const command = (...args: string[]): [string, ...string[]] => [
    ...BOOTSTRAPPER,
    ...["node", "remove", ...args, "--kubeconfig", kubeconfig, "--output", "json"],
  ];

  await t.step("without a join service the request remains, and the name gets no ticket", async () => {
    const name = await removals.addGhost();
    await assert.rejects(removals.remove(name, 500), { code: "unavailable/removal", retriable: true });
    await assert.rejects(checkNotBeingRemoved(removals.service, name), { code: "unavailable/node-removal" });
    removals.serve();
    assert.equal((await removals.remove(name))[1], "removed");
    await checkNotBeingRemoved(cluster.admin, name);
    await removals.assertOnlyControlPlane();
    const answered = removals.events.find(({ event }) => event === "removal-answered");
    assert.deepEqual([answered?.["node"], answered?.["state"]], [name, "removed"]);
  });

  await t.step("killed after each step, it ends in the same state when it is run again", async () => {
    for (const [killedAfter, stepName] of STEPS.entries()) {
      const name = await removals.addGhost();
      const steps = removals.steps(await findNamedNode(cluster.admin, name));
      assert.deepEqual(steps.map((step) => step.name), STEPS);
      for (const { run } of steps.slice(0, killedAfter + 1)) await run();
      if (stepName !== "end") await removals.remove(name);
      await removals.assertOnlyControlPlane();
      await assert.rejects(removals.remove(name), { code: "precondition/no-such-node" });
    }
  });

  await t.step("two operators at once do the work of one", async () => {
    const name = await removals.addGhost();
    const node = await findNamedNode(cluster.admin, name);
    await Promise.all([removals.steps(node), removals.steps(node)].map(async (steps) => {
      for (const { run } of steps) await run();
    }));
    await removals.assertOnlyControlPlane();
  });

  await t.step("an operator who comes late does not remove the name's next owner", async () => {
    const name = await removals.addGhost();
    const late = removals.steps(await findNamedNode(cluster.admin, name));
    await removals.remove(name);
    const records = new AdmissionRecords(cluster.admin);
    const next: AdmissionRecord = {
      ...{ identity: hex(randomBytes(32)), nodeName: name, role: "worker", nodeKey: "AAAA" },
      ...{ addresses: ["10.250.1.1"], evidenceDigest: "00".repeat(32) },
    };
    await records.admit(next);
    await assert.rejects(Promise.resolve(late[0]?.run()), { code: "conflict/removal" });
    assert.equal((await records.find(next.identity))?.nodeName, name);
    await checkNotBeingRemoved(cluster.admin, name);
    await removals.remove(name);
    await removals.assertOnlyControlPlane();
  });

  await t.step("the last voting member stays, and so do its Node and its name", async () => {
    const [own] = await removals.etcd.members();
    await assert.rejects(removals.remove("cp-1"), { code: "precondition/etcd-quorum" });
    await removals.assertOnlyControlPlane();
    assert.deepEqual((await removals.etcd.members()).map(({ id }) => id), [own?.id]);
    assert.equal(await new RemovalRequests(cluster.admin).find("cp-1"), undefined);
  });

  await t.step("a refusal that no operator has seen is requested again", async () => {
    const requests = new RemovalRequests(cluster.admin);
    const [request] = removals.steps(await findNamedNode(cluster.admin, "cp-1"));
    await request?.run();
    const refused = { what: "refusal", deadlineMs: DEADLINE_MS };
    await waitUntil(refused, async () => (await requests.find("cp-1"))?.answer?.state === "refused");
    await assert.rejects(removals.remove("cp-1"), { code: "precondition/etcd-quorum" });
    await removals.assertOnlyControlPlane();
    const answers = removals.events.filter(({ event, node }) => event === "removal-answered" && node === "cp-1");
    assert.equal(answers.length, 3);
  });

  await t.step("the command asks, refuses a Ready Node and an unknown name, and removes", async () => {
    const name = await removals.addGhost();
    const run = async (...args: string[]) => {
      const [program, ...rest] = command(...args);
      const { code, stdout } = await new Deno.Command(program, { args: rest, stdin: "null" }).output();
      return { code, ...JSON.parse(new TextDecoder().decode(stdout)) };
    };
    assert.equal((await run(name)).error.code, "usage/no-terminal");
    assert.equal((await run("cp-1", "--yes")).error.code, "precondition/node-ready");
    assert.equal((await run("nobody", "--yes")).error.code, "precondition/no-such-node");
    const { code, state, role, steps } = await run(name, "--yes");
    assert.deepEqual([code, state, role], [0, "removed", "control-plane"]);
    assert.deepEqual(Object.keys(steps), STEPS);
    await removals.assertOnlyControlPlane();
  });
});
