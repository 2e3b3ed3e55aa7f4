import assert from "node:assert/strict";
import { join } from "node:path";
import { prepareBinaries } from "../tools/prepare_binaries.ts";
import { assertNoSecrets } from "./assert_no_secrets.ts";
import { bootstrapImage } from "./bootstrap_image.ts";
import { ClusterView } from "./cluster_view.ts";
import { deadlinesMs } from "./deadlines.ts";
import { Haproxy } from "./haproxy.ts";
import { initialiseFirst } from "./initialise_first.ts";
import { inOrder } from "./in_order.ts";
import { assertServesByClusterCa } from "./kubelet_serving.ts";
import { type MachineOptions, Testbed } from "./testbed.ts";
import { Operator } from "./operator.ts";
import { testWithVms } from "./test_with_vms.ts";
import { waitUntil } from "./wait_until.ts";

testWithVms("Three control planes, of which one dies and is replaced", async (test) => {
  const { image, binary } = await bootstrapImage();
  await using testbed = await Testbed.create();
  const step = inOrder(test, testbed);
  const operator = await Operator.create(testbed, binary);
  const cluster = new ClusterView(operator, join((await prepareBinaries()).dir, "kubectl"));
  const controlPlane = async (options: Pick<MachineOptions, "name" | "number" | "nodeName">) => {
    const configuration = operator.nodeConfiguration({ role: "control-plane", joinAddresses });
    return await testbed.machine({ ...options, image, credentials: { "bootstrapper.config": configuration } });
  };
  const worker = async (name: string, number: number) => {
    const configuration = operator.nodeConfiguration({ joinAddresses });
    return await testbed.machine({ name, number, image, credentials: { "bootstrapper.config": configuration } });
  };
  const first = await controlPlane({ name: "node-1", number: 11 });
  const second = await controlPlane({ name: "node-2", number: 12 });
  const doomed = await controlPlane({ name: "node-3", number: 13 });
  const early = await worker("node-4", 14);
  const late = await worker("node-5", 15);
  const heir = await controlPlane({ name: "heir", nodeName: "node-3", number: 16 });
  const controlPlanes = [first, second, doomed, heir];
  await using _haproxy = await Haproxy.start(testbed, controlPlanes.map(({ address }) => address));

  await step("an operator initialises the first behind a load balancer", async () => {
    await first.start();
    await initialiseFirst(operator, cluster, first, { controlPlanes, controlPlaneEndpoint: Haproxy.endpoint });
    assert.match(await Deno.readTextFile(operator.kubeconfigFile), new RegExp(`server: "?https://${Haproxy.endpoint}`));
    await cluster.assertVoters(first, ["node-1"]);
  });

  await step(
    "two control planes and a worker that boot at the same moment become members, and etcd has three voters",
    async () => {
      const joining = [second, doomed, early];
      await Promise.all(joining.map((machine) => machine.start()));
      await Promise.all(joining.map((machine) => cluster.said(machine, "member")));
      await Promise.all(joining.map(({ name }) => cluster.ready(name)));
      await cluster.assertVoters(first, ["node-1", "node-2", "node-3"]);
    },
  );

  await step("kubelets serve with certificates of the cluster's CA", async () => {
    for (const machine of [first, early]) await assertServesByClusterCa(testbed, operator, machine);
  });

  await step("a new worker joins while a control plane is off for good", async () => {
    await doomed.kill();
    await late.start();
    // node-5 needs no help to join; this machine boots meanwhile, for the next step.
    await heir.start();
    await cluster.said(late, "member");
    await cluster.ready("node-5");
  });

  await step("another machine is refused under the dead one's name", async () => {
    await cluster.said(heir, "join-endpoint-refused", { parts: ['"code":"conflict/node-name"'] });
    await heir.waitUntilBooted(deadlinesMs.boot);
    await waitUntil({ what: "refusal in the status", deadlineMs: deadlinesMs.command }, async ({ saw }) => {
      const { phase, lastRefusal } = await cluster.status(heir);
      saw(`${phase}, ${lastRefusal?.code ?? "no refusal"}`);
      assert.equal(phase, "racing");
      if (lastRefusal?.code !== "conflict/node-name") return undefined;
      assert.match(lastRefusal.next ?? "", /bootstrapper node remove node-3/);
      assert.equal(lastRefusal.details["seen"], await heir.identity());
      return true;
    });
  });

  await step(
    "once an operator has removed the dead one it is admitted by itself, and etcd has three voters",
    async () => {
      const before = await cluster.node("node-3");
      const removed = await operator.run([
        "node",
        "remove",
        "node-3",
        "--yes",
        "--kubeconfig",
        operator.kubeconfigFile,
      ]);
      assert.equal(removed.exitCode, 0, `${removed.stdout}\n${removed.stderr}`);
      await cluster.said(heir, "member");
      const after = await cluster.ready("node-3", ({ metadata }) => metadata.uid !== before.metadata.uid);
      assert.notEqual(after.status.nodeInfo.bootID, before.status.nodeInfo.bootID);
      await cluster.assertVoters(first, ["node-1", "node-2", "node-3"]);
      assert.deepEqual(await cluster.nodeNames(), ["node-1", "node-2", "node-3", "node-4", "node-5"]);
      for (const name of await cluster.nodeNames()) await cluster.ready(name);
    },
  );

  await step("no key is in any log, nor in what the cluster stores", async () => {
    const stored = await cluster.get("secrets,configmaps,leases", "--all-namespaces", "--output=json");
    const decoded = [...stored.matchAll(/"([A-Za-z0-9+/]{40,}={0,2})"/g)].map(([, text = ""]) => atob(text)).join("\n");
    await assertNoSecrets(testbed, operator, [first, second, heir], { "the cluster": stored, "a Secret": decoded });
  });
});

const joinAddresses = ["10.77.0.11", "10.77.0.12", "10.77.0.13", "10.77.0.16"];
