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

testWithVms("A fresh VM founds a cluster with nobody at the keyboard, and a worker joins it", async (test) => {
  const image = await bootstrapImage();
  await using testbed = await Testbed.create();
  const step = inOrder(test, testbed);
  const founders = await Founders.create(testbed, { image, size: 1, workers: 1 });
  const cluster = new ClusterView(founders, join((await prepareBinaries()).dir, "kubectl"));
  const [[founder], [worker]] = [founders.machines, founders.workers];
  assert(founder && worker);

  await step("it founds the cluster alone, and is Ready", async () => {
    await founder.start();
    await cluster.said(founder, "member");
    await founders.takeKubeconfig(founder);
    await cluster.ready(founder.name);
  });

  await step("nothing of the founding is left on it", async () => {
    await assertFoundersLeft(cluster, [founder]);
  });

  await step("a worker knows the cluster by the founder's evidence, and joins by itself", async () => {
    await worker.start();
    await cluster.said(worker, "member");
    await cluster.ready(worker.name);
  });
});
