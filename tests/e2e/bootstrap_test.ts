import assert from "node:assert/strict";
import { join } from "node:path";
import { prepareBinaries } from "../tools/prepare_binaries.ts";
import { bootstrapImage } from "./bootstrap_image.ts";
import type { Machine } from "./machine.ts";
import { Operator } from "./operator.ts";
import { testWithVms } from "./test_with_vms.ts";
import { Testbed } from "./testbed.ts";
import { waitUntil } from "./wait_until.ts";

/** Emulated machines that share two cores with others need minutes for everything. */
const bootMs = 5 * 60_000;
const joinMs = 15 * 60_000;
const commandMs = 2 * 60_000;
/** What nobody but its owner may ever see; by value. */
const secretFiles = [
  "/etc/kubernetes/pki/ca.key",
  "/etc/kubernetes/pki/sa.key",
  "/etc/kubernetes/pki/etcd/ca.key",
  "/var/lib/bootstrapper/join-service/service.key",
];

testWithVms("Two fresh VMs become one Kubernetes cluster", async (test) => {
  const { image, binary } = await bootstrapImage();
  const kubectl = join((await prepareBinaries()).dir, "kubectl");
  await using testbed = await Testbed.create();
  await Deno.stderr.write(new TextEncoder().encode(`The logs of this test are in ${testbed.folder}\n`));
  const operator = await Operator.create(testbed, binary);
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

  let passed = true;
  const step = async (name: string, work: () => Promise<void>) => {
    if (passed) passed = await test.step(name, work);
  };
  const said = (machine: Machine, what: string, ...parts: readonly string[]) =>
    machine.journal.waitFor({
      what: `"${what}" of ${machine.name}`,
      deadlineMs: joinMs,
      match: ({ message }) => message.includes(`"event":"${what}"`) && parts.every((part) => message.includes(part)),
    });
  const node = async (name: string): Promise<KubernetesNode> => {
    const { exitCode, stdout, stderr } = await operator.kubectl(kubectl, ["get", "node", name, "--output=json"]);
    assert.equal(exitCode, 0, stderr);
    return JSON.parse(stdout);
  };
  const ready = (name: string, isMeant: (node: KubernetesNode) => boolean = () => true) =>
    waitUntil({ what: `Ready ${name}`, deadlineMs: joinMs, everyMs: 2000 }, async () => {
      const { exitCode, stdout } = await operator.kubectl(kubectl, ["get", "node", name, "--output=json"]);
      if (exitCode !== 0) return undefined;
      const seen: KubernetesNode = JSON.parse(stdout);
      return isMeant(seen) && seen.status.conditions.some(isReady) ? seen : undefined;
    });
  const statusOf = async (machine: Machine): Promise<NodeStatus> => {
    const { exitCode, stdout, stderr } = await machine.exec(["bootstrapper", "status", "--output", "json"], {
      deadlineMs: commandMs,
    });
    assert.equal(exitCode, 0, stderr);
    const { status }: { status: NodeStatus } = JSON.parse(stdout);
    return status;
  };

  await step("an operator initialises the first, and it is Ready", async () => {
    await Promise.all([first.start(), worker.start()]);
    await said(first, "init-server-listening");
    await first.waitUntilBooted(bootMs);
    await operator.writeDocuments(first);
    const { exitCode, stdout, stderr } = await operator.run(operator.initArguments(first));
    assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
    assert.equal(((await Deno.stat(operator.kubeconfigFile)).mode ?? 0) & 0o777, 0o600);
    await ready("node-1");
  });

  await step("the second joins by itself, and is Ready; both bootstrappers exited", async () => {
    await said(worker, "member");
    await ready("node-2");
    for (const machine of [first, worker]) {
      const { stdout } = await machine.exec(["systemctl", "show", "--property=ActiveState,Result", "bootstrapper"], {
        deadlineMs: commandMs,
      });
      assert.match(stdout, /Result=success/);
      assert.match(stdout, /ActiveState=inactive/);
      assert.equal((await statusOf(machine)).phase, "member");
    }
  });

  await step("no bootstrap token exists, nor what would let one in", async () => {
    const secrets = await operator.kubectl(kubectl, ["get", "secrets", "--all-namespaces", "--output=name"]);
    assert(!secrets.stdout.includes("bootstrap-token"), secrets.stdout);
    const bindings = await operator.kubectl(kubectl, ["get", "clusterrolebindings", "--output=name"]);
    assert(!/kubelet-bootstrap|node-autoapprove-bootstrap/.test(bindings.stdout), bindings.stdout);
    const leftover = await first.exec(["test", "-e", "/etc/kubernetes/super-admin.conf"], { deadlineMs: commandMs });
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
    const before = await node("node-2");
    const earlier = await worker.journal.position();
    await worker.reset();
    await spoiled.start();
    await spoiled.setLink(false);
    await foreign.start();
    await worker.journal.waitFor({
      what: "measurement before containerd",
      deadlineMs: bootMs,
      since: earlier,
      match: ({ message, identifier }) => identifier === "bootstrapper" && /^lock +sha256:/.test(message),
    });
    const after = await ready("node-2", ({ status }) => status.nodeInfo.bootID !== before.status.nodeInfo.bootID);
    assert.equal(after.metadata.uid, before.metadata.uid);
    await said(worker, "member");
  });

  await step("a VM with a wrong PCR is refused, and both sides name the PCR", async () => {
    await spoiled.waitUntilBooted(bootMs);
    const { stdout } = await spoiled.exec(["sh", "-c", `${extendPcr8}; cat /sys/class/tpm/tpm0/pcr-sha256/8`], {
      deadlineMs: commandMs,
    });
    assert.match(stdout, /^[0-9A-F]{64}\s*$/);
    await spoiled.setLink(true);
    await said(spoiled, "join-endpoint-refused", '"code":"refused/pcr-8"', stdout.trim().toLowerCase());
    await said(first, "exchange-refused", '"code":"refused/pcr-8"', stdout.trim().toLowerCase());
    const { lastRefusal, phase } = await statusOf(spoiled);
    assert.equal(lastRefusal?.code, "refused/pcr-8");
    assert.equal(lastRefusal?.details["seen"], stdout.trim().toLowerCase());
    assert.equal(phase, "racing");
  });

  await step("a VM that obeys another operator never joins, and says why", async () => {
    await said(foreign, "join-endpoint-refused", '"code":"refused/founding-operator"');
    const { lastRefusal, phase } = await statusOf(foreign);
    assert.equal(lastRefusal?.code, "refused/founding-operator");
    assert.equal(phase, "racing");
    const { stdout } = await operator.kubectl(kubectl, ["get", "nodes", "--output=name"]);
    assert.deepEqual(stdout.trim().split("\n"), ["node/node-1", "node/node-2"]);
  });

  await step("nothing secret is in any journal, console or log", async () => {
    const secrets = [await Deno.readTextFile(operator.keyFile), await Deno.readTextFile(operator.kubeconfigFile)];
    for (const path of secretFiles) {
      const { exitCode, stdout } = await first.exec(["cat", path], { deadlineMs: commandMs });
      assert.equal(exitCode, 0, path);
      secrets.push(stdout);
    }
    const needles = secrets.flatMap(secretLines);
    assert(needles.length >= secrets.length);
    for (const machine of testbed.machines) {
      for (const file of ["journal.jsonl", "console.log", "qemu.log"]) {
        const text = await Deno.readTextFile(join(machine.folder, file)).catch(() => "");
        for (const needle of needles) assert(!text.includes(needle), `a secret is in ${machine.name}/${file}`);
      }
    }
  });
});

interface KubernetesNode {
  readonly metadata: { readonly uid: string };
  readonly status: {
    readonly nodeInfo: { readonly bootID: string };
    readonly conditions: readonly { readonly type: string; readonly status: string }[];
  };
}

interface NodeStatus {
  readonly phase: string;
  readonly lastRefusal?: { readonly code: string; readonly details: Readonly<Record<string, string>> };
}

function isReady({ type, status }: KubernetesNode["status"]["conditions"][number]): boolean {
  return type === "Ready" && status === "True";
}

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

/** The lines of base64 of private keys in PEM, and the whole key of a kubeconfig. */
function secretLines(text: string): string[] {
  const keyData = /client-key-data: (\S+)/.exec(text)?.[1];
  if (keyData !== undefined) return [keyData, ...secretLines(atob(keyData))];
  return text.split("\n").filter((line) => line.length >= 40 && !line.startsWith("-----"));
}
