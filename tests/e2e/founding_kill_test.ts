import assert from "node:assert/strict";
import { join } from "node:path";
import { prepareBinaries } from "../tools/prepare_binaries.ts";
import { bootstrapImage } from "./bootstrap_image.ts";
import { ClusterView } from "./cluster_view.ts";
import { Founders } from "./founders.ts";
import { assertFoundersLeft } from "./founders_left.ts";
import { inOrder } from "./in_order.ts";
import { testWithVms } from "./test_with_vms.ts";
import { Testbed } from "./testbed.ts";

testWithVms("The power of the founder that was decided on is cut while it founds, and there is one cluster", async (test) => {
  const image = await bootstrapImage();
  await using testbed = await Testbed.create();
  const step = inOrder(test, testbed);
  const founders = await Founders.create(testbed, { image, size: 3 });
  const cluster = new ClusterView(founders, join((await prepareBinaries()).dir, "kubectl"));
  const { machines } = founders;
  const names = machines.map(({ name }) => name);

  await step("it is cut in the middle of kubeadm init, and switched on again", async () => {
    await Promise.all(machines.map((machine) => machine.start()));
    await Promise.all(machines.map((machine) => cluster.said(machine, "founding-decision")));
    const decided = await founders.decided();
    await cluster.said(decided, "phase-started", { parts: ['"phase":"kubeadm-init"'] });
    await decided.kill();
    await decided.start();
  });

  await step("all become members of one cluster", async () => {
    const [witness] = machines;
    assert(witness);
    await cluster.said(witness, "founding-decision", { parts: ['"complete":'] });
    // Another one was decided on if the machine needed longer than the others wait for it.
    const decided = await founders.decided();
    await founders.takeKubeconfig(decided);
    const members = await founders.members();
    await Promise.all(members.map((machine) => cluster.said(machine, "member")));
    for (const { name } of members) await cluster.ready(name);
    await cluster.assertVoters(decided, members.map(({ name }) => name));
    await founders.assertOneCluster();
    await assertFoundersLeft(cluster, members);
    if (members.length === names.length) assert.deepEqual(await cluster.nodeNames(), names);
  });
});
