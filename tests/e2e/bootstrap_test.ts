import assert from "node:assert/strict";
import { join } from "node:path";
import { prepareBinaries } from "../tools/prepare_binaries.ts";
import { assertNoSecrets } from "./assert_no_secrets.ts";
import { bootstrapImage } from "./bootstrap_image.ts";
import { ClusterView } from "./cluster_view.ts";
import { deadlinesMs } from "./deadlines.ts";
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
  const stranger = await Operator.create(testbed, binary, "stranger");
  const first = await testbed.machine({
    ...{ name: "node-1", number: 11, image },
    credentials: { "bootstrapper.config": operator.nodeConfiguration() },
  });
  const joining = operator.nodeConfiguration({ joinAddresses: [first.address] });
  const worker = await testbed.machine({
    ...{ name: "node-2", number: 12, image },
    credentials: { "bootstrapper.config": joining },
  });
  const spoiled = await testbed.machine({
    ...{ name: "node-3", number: 13, image },
    credentials: { "bootstrapper.config": joining },
  });
  const foreign = await testbed.machine({
    ...{ name: "node-4", number: 14, image },
    credentials: {
      "bootstrapper.config": operator.nodeConfiguration({
        operatorKeys: [stranger.publicKey],
        joinAddresses: [first.address],
      }),
    },
  });

  await step("an operator initialises the first, and it is Ready", async () => {
    await Promise.all([first.start(), worker.start()]);
    await cluster.said(first, "init-server-listening");
    await first.waitUntilBooted(deadlinesMs.boot);
    await operator.writeDocuments(first);
    const { exitCode, stdout, stderr } = await operator.run(operator.initArguments(first));
    assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
    assert.equal(((await Deno.stat(operator.kubeconfigFile)).mode ?? 0) & 0o777, 0o600);
    await cluster.ready("node-1");
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

  await step("no bootstrap token exists, nor what would let one in", async () => {
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
      assert.match(stdout + stderr, /a node that belongs to a cluster has no InitServer any more/);
    }
  });

  await step("the worker is rebooted and is Ready again as the same node; others are refused meanwhile", async () => {
    const before = await cluster.node("node-2");
    const earlier = await worker.journal.position();
    // Emulated timers may not survive the reset button while other machines boot.
    await worker.powerOff(deadlinesMs.boot);
    await worker.start();
    await spoiled.start();
    await spoiled.setLink(false);
    await foreign.start();
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
  });

  await step("a VM with a wrong PCR is refused, and both sides name the PCR", async () => {
    await spoiled.waitUntilBooted(deadlinesMs.boot);
    const { stdout } = await spoiled.exec(["sh", "-c", `${extendPcr8}; cat /sys/class/tpm/tpm0/pcr-sha256/8`], {
      deadlineMs: deadlinesMs.command,
    });
    assert.match(stdout, /^[0-9A-F]{64}\s*$/);
    await spoiled.setLink(true);
    const seen = stdout.trim().toLowerCase();
    const parts = ['"code":"refused/pcr-8"', seen];
    await cluster.said(spoiled, "join-endpoint-refused", { parts });
    await cluster.said(first, "exchange-refused", { parts });
    const { lastRefusal, phase } = await cluster.status(spoiled);
    assert.equal(lastRefusal?.code, "refused/pcr-8");
    assert.equal(lastRefusal?.details["seen"], seen);
    assert.equal(phase, "racing");
  });

  await step("a VM that obeys another operator never joins, and says why", async () => {
    await cluster.said(foreign, "join-endpoint-refused", { parts: ['"code":"refused/founding-operator"'] });
    const { lastRefusal, phase } = await cluster.status(foreign);
    assert.equal(lastRefusal?.code, "refused/founding-operator");
    assert.equal(phase, "racing");
    assert.deepEqual(await cluster.nodeNames(), ["node-1", "node-2"]);
  });

  await step("nothing secret is in any journal, console or log", async () => {
    await assertNoSecrets(testbed, operator, [first]);
  });
});

/** TPM2_PCR_Extend of PCR 8 by 32 bytes of value 1, with the empty password, as one write. */
const extendPcr8 = (() => {
  const command = [
    ...[0x80, 0x02, 0, 0, 0, 0x41, 0, 0, 0x01, 0x82],
    ...[0, 0, 0, 8],
    ...[0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0],
    ...[0, 0, 0, 1, 0, 0x0b],
    ...Array<number>(32).fill(1),
  ];
  const octal = command.map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
  return `printf '${octal}' | dd of=/dev/tpmrm0 bs=${command.length} count=1 iflag=fullblock status=none`;
})();
