import assert from "node:assert/strict";
import * as v from "valibot";
import { systemClock } from "../../../platform/clock.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { joinDocument } from "../../../kubernetes/documents.ts";
import { kubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { waitForNode, waitForOwnNode } from "../../../kubernetes/readiness.ts";
import { defaultTimeouts } from "../../../kubernetes/settings.ts";
import { KUBEADM_DEADLINE_MS, kubeadmOn, TestCluster } from "./cluster.ts";
import { AnnouncementCheck } from "./kubeadm_announcements.ts";

const list = v.object({
  items: v.array(v.looseObject({
    metadata: v.looseObject({ name: v.string() }),
    type: v.optional(v.string()),
    subjects: v.optional(v.array(v.object({ kind: v.string(), name: v.string() })), []),
  })),
});

const codeIs = (code: string) => (error: unknown) => error instanceof BootstrapError && error.code === code;
const wait = { clock: systemClock, deadlineMs: 60_000 };

async function isNodeReady(api: KubernetesApi, name: string): Promise<void> {
  await waitForNode(api, name, "ready", wait);
}

Deno.test("a worker joins by a ticket, without any bootstrap token", async (t) => {
  await using cluster = await TestCluster.create();
  using service = new KubernetesApi(await cluster.joinService());
  const caPem = await cluster.ca.certificate();

  await t.step("after the init no token, no binding for tokens and no super admin is left", async () => {
    const secrets = await cluster.admin.get("/api/v1/secrets", list);
    assert.deepEqual(secrets.items.filter(({ type }) => type === "bootstrap.kubernetes.io/token"), []);
    const bindings = await cluster.admin.get("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", list);
    const forTokens = bindings.items.filter(({ subjects }) =>
      subjects.some(({ name }) => /^system:bootstrappers/.test(name))
    );
    assert.deepEqual(forTokens.map(({ metadata }) => metadata.name), []);
    const publicMaps = await cluster.admin.get("/api/v1/namespaces/kube-public/configmaps", list);
    assert.ok(!publicMaps.items.some(({ metadata }) => metadata.name === "cluster-info"));
    await assert.rejects(cluster.controlPlane.read("/etc/kubernetes/super-admin.conf"), Deno.errors.NotFound);
    assert.equal(await cluster.controlPlane.read("/etc/kubernetes/pki/ca.crt"), caPem);
    await isNodeReady(cluster.admin, "cp-1");
  });

  const worker = await cluster.world.node("worker-1");
  let uid = "";

  await t.step("the join service admits the node, and asks nobody for its certificate", async () => {
    ({ uid } = await new AdmissionRecords(service).admit({
      ...{ identity: "a1".repeat(32), nodeName: worker.name, role: "worker", nodeKey: "AAAA" },
      ...{ addresses: [worker.ip], evidenceDigest: "00".repeat(32), resetCount: 1 },
    }));
    const left = await cluster.admin.get("/apis/certificates.k8s.io/v1/certificatesigningrequests", list);
    assert.deepEqual(left.items.filter(({ metadata }) => metadata.name.startsWith("bootstrapper-")), []);
  });

  await t.step("kubeadm joins with only the ticket, and the Node becomes Ready", async () => {
    worker.startKubeletStandIn();
    const discovery = "/etc/bootstrapper/discovery.conf";
    const { client } = await cluster.nodeCertificates(worker, uid);
    const parts = { clusterName: "test", userName: "ticket", server: cluster.server, caPem, ...client };
    await worker.write(discovery, kubeconfig(parts));
    await cluster.ca.layCredentialsInto(worker, cluster.server);
    const document = joinDocument({
      node: { name: worker.name, address: worker.ip },
      discoveryKubeconfigPath: discovery,
      timeouts: defaultTimeouts,
    });
    const announcements = new AnnouncementCheck();
    const run = { deadlineMs: KUBEADM_DEADLINE_MS, onProgress: announcements.listen };
    await (await kubeadmOn(worker)).join(document, run);
    announcements.assert("join");
    await isNodeReady(cluster.admin, worker.name);
    await assert.rejects(worker.read("/etc/kubernetes/bootstrap-kubelet.conf"), Deno.errors.NotFound);
  });

  await t.step(
    "join() finishes when it is run again after kill -9 or a power cut, also when the Node is Ready",
    async () => {
      for (
        const [index, cut] of [/^\[kubelet-start\] Writing/, /^\[kubelet-start\] Starting/, /^\[kubelet-check\]/]
          .entries()
      ) {
        const node = await cluster.world.node(`worker-${2 + index}`);
        const { client } = await cluster.nodeCertificates(node, crypto.randomUUID());
        const discoveryKubeconfigPath = "/etc/bootstrapper/discovery.conf";
        const parts = { clusterName: "test", userName: "ticket", server: cluster.server, caPem };
        const config = kubeconfig({ ...parts, ...client });
        await node.write(discoveryKubeconfigPath, config);
        await cluster.ca.layCredentialsInto(node, cluster.server);
        const facts = { name: node.name, address: node.ip };
        const document = joinDocument({ node: facts, discoveryKubeconfigPath, timeouts: defaultTimeouts });
        const kubeadm = await kubeadmOn(node);
        const kill = new AbortController();
        node.startKubeletStandIn();
        await assert.rejects(
          kubeadm.join(document, {
            deadlineMs: KUBEADM_DEADLINE_MS,
            signal: kill.signal,
            onLine: (line) => cut.test(line) && kill.abort(),
          }),
          codeIs("aborted/command"),
        );
        if (index === 1) {
          await node.powerOff();
          await node.powerOn();
          node.startKubeletStandIn();
        }
        // The stand-in goes on by itself, as the kubelet does.
        if (index === 2) await isNodeReady(cluster.admin, node.name);
        await kubeadm.join(document, { deadlineMs: KUBEADM_DEADLINE_MS });
        await isNodeReady(cluster.admin, node.name);
        await kubeadm.join(document, { deadlineMs: KUBEADM_DEADLINE_MS });
        await assert.rejects(node.read("/etc/kubernetes/bootstrap-kubelet.conf"), Deno.errors.NotFound);
      }
    },
  );

  await t.step("waitForOwnNode() sees the Node with the kubelet's own credentials", async () => {
    await waitForOwnNode(worker.name, "ready", wait, worker.path("/etc/kubernetes/kubelet.conf"));
  });
});
