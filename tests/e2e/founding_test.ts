import assert from "node:assert/strict";
import { join } from "node:path";
import { prepareBinaries } from "../tools/prepare_binaries.ts";
import { bootstrapImage } from "./bootstrap_image.ts";
import { ClusterView } from "./cluster_view.ts";
import { Founders } from "./founders.ts";
import { assertFoundersLeft, assertOneCluster } from "./founders_left.ts";
import { inOrder } from "./in_order.ts";
import { testWithVms } from "./test_with_vms.ts";
import { Testbed } from "./testbed.ts";

testWithVms("Three equal VMs become one cluster with nobody at the keyboard", async (test) => {
  const image = await bootstrapImage();
  await using testbed = await Testbed.create();
  const step = inOrder(test, testbed);
  const founders = await Founders.create(testbed, { image, size: 3, workers: 1 });
  const cluster = new ClusterView(founders, join((await prepareBinaries()).dir, "kubectl"));
  const { machines, workers } = founders;
  const names = machines.map(({ name }) => name);

  await step("they pledge to each other, and decide on the same one of them", async () => {
    await Promise.all(machines.map((machine) => machine.start()));
    await Promise.all(machines.map((machine) => cluster.said(machine, "founding-roster-fixed")));
    await Promise.all(machines.map((machine) => cluster.said(machine, "founding-decision")));
  });

  await step("one founds, the others join, and all are Ready members with a vote", async () => {
    for (const machine of machines) await cluster.said(machine, "founding-decision", { parts: ['"complete":'] });
    const decided = await founders.decided();
    await founders.takeKubeconfig(decided);
    await Promise.all(machines.map((machine) => cluster.said(machine, "member")));
    for (const name of names) await cluster.ready(name);
    await cluster.assertVoters(decided, names);
  });

  await step("there is one cluster, and nothing is left of the founding", async () => {
    await assertOneCluster(machines);
    await assertFoundersLeft(cluster, machines);
  });

  await step("a worker knows the cluster by a founder's evidence, and joins by itself", async () => {
    await Promise.all(workers.map((machine) => machine.start()));
    for (const worker of workers) await cluster.said(worker, "member");
    for (const { name } of workers) await cluster.ready(name);
    assert.deepEqual(await cluster.nodeNames(), [...names, ...workers.map(({ name }) => name)]);
  });
});
