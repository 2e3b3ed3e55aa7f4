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

testWithVms(
  "The power of the founder that was decided on is cut while it founds, and there is one cluster",
  async (test) => {
    const image = await bootstrapImage();
    await using testbed = await Testbed.create();
    const step = inOrder(test, testbed);
    const founders = await Founders.create(testbed, { image, size: 3 });
    const cluster = new ClusterView(founders, join((await prepareBinaries()).dir, "kubectl"));
    const { machines } = founders;
    let killed = machines[0];

    await step("it is cut in the middle of kubeadm init, and switched on again", async () => {
      await Promise.all(machines.map((machine) => machine.start()));
      await Promise.all(machines.map((machine) => cluster.said(machine, "founding-decision")));
      killed = await founders.decided();
      await cluster.said(killed, "phase-started", { parts: ['"phase":"kubeadm-init"'] });
      await killed.kill();
      await killed.start();
    });

    await step("one cluster is complete, and whoever may be its member is", async () => {
      const others = machines.filter((machine) => machine !== killed);
      for (const machine of others) await cluster.said(machine, "founding-decision", { parts: ['"complete":'] });
      const founder = await founders.decided(others[0]);
      // Where it needed longer than the others wait for it, another one was decided on, and it has to be reset.
      const members = founder === killed ? machines : others;
      if (founder !== killed && killed !== undefined) await cluster.said(killed, "founding-superseded");
      await founders.takeKubeconfig(founder);
      await Promise.all(members.map((machine) => cluster.said(machine, "member")));
      for (const { name } of members) await cluster.ready(name);
      await cluster.assertVoters(founder, members.map(({ name }) => name));
      assert.deepEqual(await cluster.nodeNames(), members.map(({ name }) => name));
      await assertOneCluster(members);
      await assertFoundersLeft(cluster, members);
    });
  },
);
