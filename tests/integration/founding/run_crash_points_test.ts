/** `kill -9` of a founder with real `bootstrapper run`, at each point of its way: it goes on, in one cluster. */
import assert from "node:assert/strict";
import { INIT_SEQUENCE } from "../../../init/found_cluster.ts";
import { RunWorld } from "../node/run_machine.ts";
import type { RunChanges } from "../node/run_machine.ts";
import { assertOneCluster, atStep, atTransaction, dies, ends, founders, lockOf } from "./_run_founders.ts";

/** Where a founder dies that is decided on, in the order in which it comes there. */
const POINTS: Readonly<Record<string, RunChanges>> = {
  "after its pledge": { atEvent: { event: "founding-pledged" } },
  "when its roster is fixed": { atEvent: { event: "founding-roster-fixed" } },
  "after the decision": atTransaction("decide"),
  "before it stages": atStep("preflight", "before"),
  "before its lock": atStep("lock", "before"),
  "after its lock": atStep("lock", "after"),
  ...Object.fromEntries(Object.keys(INIT_SEQUENCE).map((name) => [`before ${name}`, atStep(name, "before")])),
  "before complete": atStep("kubelet", "after"),
  "after complete": atTransaction("complete"),
  "after its journal, before its join service": { atEvent: { event: "founding-complete" } },
  "when it serves": { atEvent: { event: "race", state: "leaving" } },
  "when it is a member": atTransaction("member"),
};

Deno.test("a founder that is killed wherever it may be goes on, in one cluster", async (t) => {
  await using world = await RunWorld.create();
  const [alone] = await founders(world, ["alone"]);
  assert.ok(alone !== undefined);
  let cluster: unknown;
  for (const [where, changes] of Object.entries(POINTS)) {
    const isDone = await t.step(`killed ${where}`, async () => {
      await dies(alone, changes);
      const { clusterId } = await lockOf(alone);
      if (cluster !== undefined) assert.equal(clusterId, cluster);
      cluster = clusterId;
    });
    if (!isDone) throw new Error(`Cannot go on; logs are in ${world.world.logs}`);
  }
  await ends([alone.start()]);
  await assertOneCluster([alone]);
  assert.equal((await lockOf(alone)).clusterId, cluster);
});
