import assert from "node:assert/strict";
import { join } from "node:path";
import { prepareBinaries } from "../tools/prepare_binaries.ts";
import { bootstrapImage } from "./bootstrap_image.ts";
import { ClusterView } from "./cluster_view.ts";
import { deadlinesMs } from "./deadlines.ts";
import { Haproxy } from "./haproxy.ts";
import { inOrder } from "./in_order.ts";
import type { Machine } from "./machine.ts";
import { Operator } from "./operator.ts";
import { testWithVms } from "./test_with_vms.ts";
import { Testbed } from "./testbed.ts";
import { waitUntil } from "./wait_until.ts";

testWithVms("A node whose power is cut in the middle becomes the same member without help", async (test) => {
  const { image, binary } = await bootstrapImage();
  await using testbed = await Testbed.create();
  const step = inOrder(test, testbed);
  const operator = await Operator.create(testbed, binary);
  const cluster = new ClusterView(operator, join((await prepareBinaries()).dir, "kubectl"));
  const machine = async (name: string, number: number, role: "worker" | "control-plane") => {
    const configuration = operator.nodeConfiguration({ role, joinAddresses: ["10.77.0.11", "10.77.0.12"] });
    return await testbed.machine({ name, number, image, credentials: { "bootstrapper.config": configuration } });
  };
  const first = await machine("node-1", 11, "control-plane");
  const second = await machine("node-2", 12, "control-plane");
  const worker = await machine("node-3", 13, "worker");
  await using _haproxy = await Haproxy.start(testbed, [first.address, second.address]);
  const initLog = join(operator.folder, "init.log");
  /** Switches the power off and on again, and returns the journal's position between the two. */
  const cutPower = async (cut: Machine) => {
    await cut.kill();
    const since = await cut.journal.position();
    await cut.start();
    return since;
  };

  await step(
    "cut in the middle of kubeadm init: the node goes on by itself, and so does the operator's init",
    async () => {
      await first.start();
      await cluster.said(first, "init-server-listening");
      await first.waitUntilBooted(deadlinesMs.boot);
      await operator.writeDocuments(first, { controlPlanes: [second], controlPlaneEndpoint: Haproxy.endpoint });
      const init = operator.runLogged(initLog, operator.initArguments(first));
      await waitUntil(
        { what: "kubeadm init that waits for the control plane", deadlineMs: deadlinesMs.member },
        async ({ saw }) => {
          const said = await Deno.readTextFile(initLog).catch(() => "");
          saw(said.trim().split("\n").at(-1) ?? "");
          return said.includes("wait-control-plane");
        },
      );
      const since = await cutPower(first);
      await cluster.said(first, "phase-started", { parts: ['"phase":"kubeadm-init"'], since });
      const { exitCode, stdout, stderr } = await init;
      assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
      assert.match(stdout, /"event":"reconnecting"/);
      assert.equal(clusterIdOf(stdout, "founded"), clusterIdOf(stdout, "verified"));
      await cluster.ready("node-1");
      await cluster.assertVoters(first, ["node-1"]);
    },
  );

  await step("cut in the middle of a worker's join: it is a member in the end", async () => {
    await worker.start();
    await worker.journal.waitFor({
      what: "kubelet that kubeadm join has started",
      deadlineMs: deadlinesMs.member,
      match: ({ unit, identifier }) => unit === "kubelet.service" && identifier === "kubelet",
    });
    await cluster.said(worker, "member", { since: await cutPower(worker) });
    await cluster.ready("node-3");
    // Two cores can run no more than two emulated VMs at once.
    await worker.powerOff(deadlinesMs.boot);
  });

  await step("cut in the middle of a control plane's join: it is a member in the end", async () => {
    await second.start();
    await waitUntil(
      { what: "second etcd member", deadlineMs: deadlinesMs.member, everyMs: 500 },
      async ({ saw }) => {
        const members = await cluster.etcdMembers(first);
        saw(members.map(({ name }) => name).join(", "));
        return members.length > 1;
      },
    );
    await cluster.said(second, "member", { since: await cutPower(second) });
    await cluster.ready("node-2");
    assert.deepEqual(await cluster.nodeNames(), ["node-1", "node-2", "node-3"]);
    await cluster.assertVoters(first, ["node-1", "node-2"]);
    await cluster.assertVoters(second, ["node-1", "node-2"]);
  });
});

/** The cluster ID in the JSON line of that event. */
function clusterIdOf(output: string, event: string): string {
  const events: { readonly event: string; readonly clusterId?: string }[] = output.trim().split("\n").map((line) =>
    JSON.parse(line)
  );
  const clusterId = events.find((line) => line.event === event)?.clusterId;
  assert(clusterId, `no event "${event}" in:\n${output}`);
  return clusterId;
}
