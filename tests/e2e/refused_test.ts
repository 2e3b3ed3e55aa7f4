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

testWithVms("VMs that must not join are refused, and report the reason", async (test) => {
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
  const joinAddresses = [first.address];
  const spoiled = await testbed.machine({
    ...{ name: "node-2", number: 12, image },
    credentials: { "bootstrapper.config": operator.nodeConfiguration({ joinAddresses }) },
  });
  const foreign = await testbed.machine({
    ...{ name: "node-3", number: 13, image },
    credentials: {
      "bootstrapper.config": operator.nodeConfiguration({ operatorKeys: [stranger.publicKey], joinAddresses }),
    },
  });

  await step("an operator initialises the first, and it is Ready", async () => {
    await first.start();
    await initialiseFirst(operator, cluster, first);
  });

  await step("a VM with a wrong PCR is refused, and both sides name the PCR", async () => {
    await spoiled.start();
    await spoiled.setLink(false);
    await spoiled.waitUntilBooted(deadlinesMs.boot);
    const { stdout } = await spoiled.exec(["sh", "-c", `${extendPcr8}; cat /sys/class/tpm/tpm0/pcr-sha256/8`], {
      deadlineMs: deadlinesMs.command,
    });
    assert.match(stdout, /^[0-9A-F]{64}\s*$/);
    await spoiled.setLink(true);
    const seen = stdout.trim().toLowerCase();
    const code = '"code":"refused/pcr-8"';
    await cluster.said(first, "join-refused", { parts: [code, seen] });
    // The policy does not list this machine, so it hears the code alone.
    const { message } = await cluster.said(spoiled, "join-endpoint-refused", { parts: [code] });
    assert.ok(!message.includes(seen), message);
    const { lastRefusal, phase } = await cluster.status(spoiled);
    assert.equal(lastRefusal?.code, "refused/pcr-8");
    assert.equal(lastRefusal.details["seen"], undefined);
    assert.equal(phase, "racing");
    assert.deepEqual(await cluster.nodeNames(), ["node-1"]);
    // Two cores can run no more than two emulated VMs at once.
    await spoiled.powerOff(deadlinesMs.boot);
  });

  await step("a VM that obeys another operator never joins, and reports the reason", async () => {
    await foreign.start();
    await cluster.said(foreign, "join-endpoint-refused", { parts: ['"code":"refused/founding-operator"'] });
    await foreign.waitUntilBooted(deadlinesMs.boot);
    const { lastRefusal, phase } = await cluster.status(foreign);
    assert.equal(lastRefusal?.code, "refused/founding-operator");
    assert.equal(phase, "racing");
    assert.deepEqual(await cluster.nodeNames(), ["node-1"]);
  });

  await step("nothing secret is in any journal, console or log", async () => {
    await assertNoSecrets(testbed, operator, [first]);
  });
});

/** TPM2_PCR_Extend of PCR 8 by 32 bytes of value 1, with the empty password, as a single write. */
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
