/**
 * `bootstrapper run` on machines that found a cluster among equals: real etcd and kubeadm, nobody at a keyboard.
 */
import { RunWorld } from "../node/run_machine.ts";
import { assertOneCluster, ends, founders } from "./_run_founders.ts";

for (const names of [["alone"], ["first", "second"]]) {
  Deno.test(`${names.length} of ${names.length} become one cluster, whichever is decided on`, async () => {
    await using world = await RunWorld.create();
    const machines = await founders(world, names);
    await ends(machines.map((machine) => machine.start()));
    await assertOneCluster(machines);
  });
}
