import assert from "node:assert/strict";
import { join } from "node:path";
import { prepareBinaries } from "../tools/prepare_binaries.ts";
import { assertNoSecrets } from "./assert_no_secrets.ts";
import { bootstrapImage } from "./bootstrap_image.ts";
import { ClusterView } from "./cluster_view.ts";
import { deadlinesMs } from "./deadlines.ts";
import { initialiseFirst } from "./initialise_first.ts";
import { inOrder } from "./in_order.ts";
import { Operator } from "./operator.ts";
import { testWithVms } from "./test_with_vms.ts";
import { Testbed } from "./testbed.ts";

testWithVms("Two fresh VMs become one Kubernetes cluster", async (test) => {
  const { image, binary } = await bootstrapImage();
  await using testbed = await Testbed.create();
  const step = inOrder(test, testbed);
  const operator = await Operator.create(testbed, binary);
  const cluster = new ClusterView(operator, join((await prepareBinaries()).dir, "kubectl"));
  const first = await testbed.machine({
    ...{ name: "node-1", number: 11, image },
    credentials: { "bootstrapper.config": operator.nodeConfiguration() },
  });
  const worker = await testbed.machine({
    ...{ name: "node-2", number: 12, image },
    credentials: { "bootstrapper.config": operator.nodeConfiguration({ joinAddresses: [first.address] }) },
  });

  await step("an operator initialises the first, and it is Ready", async () => {
    await Promise.all([first.start(), worker.start()]);
    await initialiseFirst(operator, cluster, first);
    assert.equal(((await Deno.stat(operator.kubeconfigFile)).mode ?? 0) & 0o777, 0o600);
  });

  await step("the second joins by itself, and is Ready; both bootstrappers exited", async () => {
    await cluster.said(worker, "member");
    await cluster.ready("node-2");
    for (const machine of [first, worker]) {
      const { stdout } = await machine.exec(["systemctl", "show", "--property=ActiveState,Result", "bootstrapper"], {
        deadlineMs: deadlinesMs.command,
      });
      assert.match(stdout, /Result=success/);
      assert.match(stdout, /ActiveState=inactive/);
      assert.equal((await cluster.status(machine)).phase, "member");
    }
  });

  await step("no bootstrap token, no binding for tokens and no super admin is left", async () => {
    const secrets = await cluster.get("secrets", "--all-namespaces", "--output=name");
    assert(!secrets.includes("bootstrap-token"), secrets);
    const bindings = await cluster.get("clusterrolebindings", "--output=name");
    assert(!/kubelet-bootstrap|node-autoapprove-bootstrap/.test(bindings), bindings);
    const leftover = await first.exec(["test", "-e", "/etc/kubernetes/super-admin.conf"], {
      deadlineMs: deadlinesMs.command,
    });
    assert.equal(leftover.exitCode, 1);
  });

  await step("a second init against either node is refused with the reason", async () => {
    const again = await operator.run(operator.initArguments(first));
    assert.equal(again.exitCode, 1);
    assert.match(again.stdout + again.stderr, /Cluster \\?"demo\\?" was founded on .* as sha256:/);
    const freshRecords = [
      "--records",
      join(operator.folder, "other-records"),
      "--kubeconfig",
      join(operator.folder, "other"),
    ];
    for (const machine of [first, worker]) {
      const { exitCode, stdout, stderr } = await operator.run([...operator.initArguments(machine), ...freshRecords]);
      assert.equal(exitCode, 4);
      assert.match(stdout + stderr, /a node that belongs to a cluster no longer has an InitServer/);
    }
  });

  await step("the worker is rebooted and is Ready again as the same node", async () => {
    const before = await cluster.node("node-2");
    const earlier = await worker.journal.position();
    // Emulated timers may not survive the reset button while another machine is busy.
    await worker.powerOff(deadlinesMs.boot);
    await worker.start();
    await worker.journal.waitFor({
      what: "measurement before containerd",
      deadlineMs: deadlinesMs.boot,
      since: earlier,
      match: ({ message, identifier }) => identifier === "bootstrapper" && /^lock +sha256:/.test(message),
    });
    const after = await cluster.ready(
      "node-2",
      ({ status }) => status.nodeInfo.bootID !== before.status.nodeInfo.bootID,
    );
    assert.equal(after.metadata.uid, before.metadata.uid);
    await cluster.said(worker, "member");
    assert.deepEqual(await cluster.nodeNames(), ["node-1", "node-2"]);
  });

  await step("nothing secret is in any journal, console or log", async () => {
    await assertNoSecrets(testbed, operator, [first]);
  });
});
