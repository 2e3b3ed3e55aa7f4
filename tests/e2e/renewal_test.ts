import assert from "node:assert/strict";
import { join } from "node:path";
import { prepareBinaries } from "../tools/prepare_binaries.ts";
import { assertNoSecrets } from "./assert_no_secrets.ts";
import { bootstrapImage } from "./bootstrap_image.ts";
import { ClusterView } from "./cluster_view.ts";
import { deadlinesMs } from "./deadlines.ts";
import { initialiseFirst } from "./initialise_first.ts";
import { inOrder } from "./in_order.ts";
import { assertServesByClusterCa } from "./kubelet_serving.ts";
import type { Machine } from "./machine.ts";
import { Operator } from "./operator.ts";
import { testWithVms } from "./test_with_vms.ts";
import { Testbed } from "./testbed.ts";
import { waitUntil } from "./wait_until.ts";

const hourMs = 3_600_000;

testWithVms("A worker's certificates last only as long as it proves itself", async (test) => {
  const { image, binary } = await bootstrapImage();
  await using testbed = await Testbed.create();
  const step = inOrder(test, testbed);
  const operator = await Operator.create(testbed, binary);
  const kubectl = join((await prepareBinaries()).dir, "kubectl");
  const cluster = new ClusterView(operator, kubectl);
  const first = await testbed.machine({
    ...{ name: "node-1", number: 11, image },
    credentials: { "bootstrapper.config": operator.nodeConfiguration() },
  });
  const worker = await testbed.machine({
    ...{ name: "node-2", number: 12, image },
    credentials: { "bootstrapper.config": operator.nodeConfiguration({ joinAddresses: [first.address] }) },
  });

  /** Runs kubectl until it succeeds and says what is meant: an emulated API server is restarted now and then. */
  const kubectlSaysLike = (meant: RegExp, ...args: readonly string[]) =>
    waitUntil({ what: `kubectl ${args.join(" ")}`, deadlineMs: deadlinesMs.member, everyMs: 2_000 }, async (look) => {
      const { exitCode, stdout, stderr } = await operator.kubectl(kubectl, args);
      look.saw(`exit code ${exitCode}: ${stdout}${stderr}`);
      return exitCode === 0 && meant.test(stdout) ? stdout : undefined;
    });
  const kubectlSays = (...args: readonly string[]) => kubectlSaysLike(/^/, ...args);

  await step("a cluster of two whose certificates last an hour", async () => {
    await Promise.all([first.start(), worker.start()]);
    await initialiseFirst(operator, cluster, first, { nodeCertificateLifetime: "1h" });
    await cluster.said(worker, "member");
    await cluster.ready("node-2");
    for (const machine of [first, worker]) await assertServesByClusterCa(testbed, operator, machine);
    const lifeMs = await endOf(worker) - Date.now();
    assert.ok(lifeMs > 0 && lifeMs <= hourMs, String(lifeMs));
  });

  await step("no signer of the cluster signs a kubelet's certificate, whoever asks", async () => {
    const { stdout } = await first.exec(["cat", "/etc/kubernetes/manifests/kube-controller-manager.yaml"], {
      deadlineMs: deadlinesMs.command,
    });
    assert.match(stdout, /--cluster-signing-cert-file=\n/);
    assert.doesNotMatch(stdout, /cluster-signing-kubelet/);
    assert.equal(JSON.parse(await cluster.get("certificatesigningrequests", "--output=json")).items.length, 0);
  });

  await step(
    "a control plane renews kubeadm's certificates by its unit, and its Pods start anew with them",
    async () => {
      const unit = "bootstrapper-control-plane-renew.service";
      const shell = (script: string) => first.exec(["sh", "-c", script], { deadlineMs: deadlinesMs.command });
      const certificates = async () => {
        const { stdout } = await shell(
          "cd /etc/kubernetes/pki && sha256sum apiserver.crt etcd/peer.crt front-proxy-client.crt",
        );
        assert.equal(stdout.trim().split("\n").length, 3, stdout);
        return stdout;
      };
      const before = await certificates();
      const position = await first.journal.position();
      // The unit as it is, with its sandbox; only what it waits for is left out, and --now is added.
      const { exitCode, stderr } = await shell(
        `mkdir -p /run/systemd/system/${unit}.d && printf '[Service]\nExecCondition=\nExecStart=\n` +
          `ExecStart=/usr/local/bin/bootstrapper control-plane renew --now\n' >/run/systemd/system/${unit}.d/now.conf && ` +
          `systemctl daemon-reload && systemctl start --no-block ${unit}`,
      );
      assert.equal(exitCode, 0, stderr);
      await cluster.said(first, "control-plane-certificates-renewed", { since: position });
      assert.notEqual(await certificates(), before);
      for (const pod of ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]) {
        await cluster.said(first, "static-pod-restarted", { since: position, parts: [`"pod":"${pod}"`] });
      }
      await shell(`rm -r /run/systemd/system/${unit}.d && systemctl daemon-reload`);
      await cluster.ready("node-1");
      await cluster.ready("node-2");
    },
  );

  await step(
    "after two hours off, the worker's certificates have ended, and it is Ready again without hands",
    async () => {
      const before = await cluster.node("node-2");
      const position = await worker.journal.position();
      const started = await startOf(worker);
      await worker.powerOff(deadlinesMs.boot);
      // On two emulated cores, an API server that starts while kubelets knock with ended certificates gives up again and
      // again. So the control plane stays on, and its certificates end, too.
      await setClocksOn([first], "2 hours");
      worker.clockAheadMs = 2 * hourMs;
      await worker.start();
      await cluster.said(worker, "certificates-renewed", { since: position });
      assert.ok(await startOf(worker) > started);
      assert.ok(await endOf(worker) > Date.now() + 2 * hourMs);
      const isRebooted = (uid: string, bootID: string) => uid !== "" && bootID !== before.status.nodeInfo.bootID;
      const after = await cluster.ready(
        "node-2",
        ({ metadata, status }) => isRebooted(metadata.uid, status.nodeInfo.bootID),
      );
      assert.equal(after.metadata.uid, before.metadata.uid);
      await cluster.ready("node-1");
      await assertServesByClusterCa(testbed, operator, worker, new Date(Date.now() + 2 * hourMs));
    },
  );

  await step("kubectl logs and exec reach the worker by its new certificate", async () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "talker", namespace: "default" },
      spec: {
        nodeName: "node-2",
        hostNetwork: true,
        automountServiceAccountToken: false,
        containers: [{
          name: "coredns",
          image: "registry.k8s.io/coredns/coredns:v1.14.2",
          imagePullPolicy: "Never",
          command: ["/coredns", "-dns.port", "1053"],
        }],
      },
    };
    const file = join(operator.folder, "pod.json");
    await Deno.writeTextFile(file, JSON.stringify(pod));
    await kubectlSays("apply", "-f", file);
    await kubectlSays("wait", "--for=condition=Ready", "pod/talker", "--timeout=30s");
    // A Pod is Ready when its program has started, and that may be long before it says anything.
    await kubectlSaysLike(/CoreDNS/, "logs", "talker");
    await kubectlSaysLike(/CoreDNS/, "exec", "talker", "--", "/coredns", "-version");
  });

  await step(
    "a worker whose image is out of the policy is not renewed, and says why; its credential ends",
    async () => {
      const map = JSON.parse(await kubectlSays("-n", "kube-system", "get", "cm", "bootstrapper-policy", "-o", "json"));
      const policy: string = map.data["policy.yaml"];
      const other = policy.replace(/("?4"?:\s*\n?\s*-?\s*\[?"?)[0-9a-f]{64}/, `$1${"ab".repeat(32)}`);
      assert.notEqual(other, policy);
      const patch = JSON.stringify({ data: { "policy.yaml": other } });
      await kubectlSays("-n", "kube-system", "patch", "cm", "bootstrapper-policy", "--type=merge", "-p", patch);
      await setClocksOn([first, worker], "30 minutes");
      await worker.exec(["systemctl", "start", "bootstrapper-renew.service"], { deadlineMs: deadlinesMs.command });
      await waitUntil({ what: "refusal in status", deadlineMs: deadlinesMs.member, everyMs: 2_000 }, async (look) => {
        const { refusal } = (await renewalOf(worker)) ?? {};
        look.saw(JSON.stringify(refusal));
        return refusal?.code === "refused/pcr-4" || undefined;
      });
      await setClocksOn([first, worker], "40 minutes");
      await waitUntil({ what: "node-2 not Ready", deadlineMs: deadlinesMs.member, everyMs: 2_000 }, async (look) => {
        const { status } = await cluster.node("node-2");
        const ready = status.conditions.find(({ type }) => type === "Ready");
        look.saw(JSON.stringify(ready));
        return ready?.status !== "True" || undefined;
      });
      assert.equal((await renewalOf(worker))?.refusal?.code, "refused/pcr-4");
    },
  );

  await step("nothing secret is in any journal, console or log", async () => {
    await assertNoSecrets(testbed, operator, [first]);
  });
});

/** What `bootstrapper status` says of a machine's certificates. */
interface Renewal {
  readonly client: { readonly notBefore: string; readonly notAfter: string };
  readonly refusal?: { readonly code: string };
}

async function renewalOf(machine: Machine): Promise<Renewal | undefined> {
  const { stdout } = await machine.exec(["bootstrapper", "status", "--output", "json"], {
    deadlineMs: deadlinesMs.command,
  });
  return JSON.parse(stdout).renewal ?? undefined;
}

async function endOf(machine: Machine): Promise<number> {
  return Date.parse((await renewalOf(machine))?.client.notAfter ?? "");
}

async function startOf(machine: Machine): Promise<number> {
  return Date.parse((await renewalOf(machine))?.client.notBefore ?? "");
}

async function setClocksOn(machines: readonly Machine[], duration: string): Promise<void> {
  await Promise.all(machines.map(async (machine) => {
    const { exitCode, stderr } = await machine.exec(["date", "--set", `+${duration}`], {
      deadlineMs: deadlinesMs.command,
    });
    assert.equal(exitCode, 0, stderr);
  }));
}
