import assert from "node:assert/strict";
import * as v from "valibot";
import { pollUntil } from "../../../kubernetes/_poll.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { systemClock } from "../../../platform/clock.ts";
import { KUBEADM_DEADLINE_MS, nodeSubjectText, TestCluster } from "./cluster.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
/** By this binding the controller manager approves what a node asks for itself. */
const AUTO_APPROVAL = "kubeadm:node-autoapprove-certificate-rotation";
const NOT_IN_THE_WORLD = ["CreateJob", "ContainerRuntimeVersion", "CRI", "ImagePull", "SystemVerification"]
  .concat("CoreDNSUnsupportedPlugins", "CoreDNSMigration");
const WAIT = { clock: systemClock, deadlineMs: 60_000, firstMs: 50, longestMs: 500, code: "timeout/node" } as const;

const csrSchema = v.looseObject({
  metadata: v.looseObject({ name: v.string() }),
  status: v.optional(
    v.looseObject({
      certificate: v.optional(v.string()),
      conditions: v.optional(v.array(v.looseObject({ type: v.string() })), []),
    }),
    {},
  ),
});

/** Requests a certificate through the API. */
async function request(api: KubernetesApi, csrPem: string, signer: string): Promise<string> {
  const { metadata } = await api.create(CSRS, {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { generateName: "test-" },
    spec: {
      request: new TextEncoder().encode(csrPem).toBase64(),
      signerName: `kubernetes.io/${signer}`,
      usages: ["digital signature", "client auth"],
    },
  }, csrSchema);
  return metadata.name;
}

async function approve(api: KubernetesApi, name: string): Promise<void> {
  const csr = await api.get(`${CSRS}/${name}`, csrSchema);
  const condition = { type: "Approved", status: "True", reason: "Test", message: "by hand" };
  await api.replace(`${CSRS}/${name}/approval`, { ...csr, status: { conditions: [condition] } }, v.unknown());
}

function statusOf(api: KubernetesApi, name: string): Promise<v.InferOutput<typeof csrSchema>["status"]> {
  return api.get(`${CSRS}/${name}`, csrSchema).then(({ status }) => status);
}

Deno.test("kubeadm upgrade apply brings auto-approval back, and still nothing signs for a kubelet", async (t) => {
  await using cluster = await TestCluster.create();
  const { admin, ca, controlPlane } = cluster;
  const hasAutoApproval = async () => await admin.find(`${BINDINGS}/${AUTO_APPROVAL}`, v.unknown()) !== undefined;

  await t.step("an init makes no binding for auto-approval", async () => {
    assert.equal(await hasAutoApproval(), false);
  });

  await t.step("kubeadm upgrades the cluster to its own version", async () => {
    const { code, output } = await controlPlane.run([
      ...["kubeadm", "upgrade", "apply", "v1.36.3", "--yes", "--force", "--etcd-upgrade=false"] as const,
      // No container runs here: neither kubeadm's trial Job nor CoreDNS.
      `--ignore-preflight-errors=${NOT_IN_THE_WORLD.join(",")}`,
    ], { deadlineMs: KUBEADM_DEADLINE_MS });
    assert.equal(code, 0, output);
    assert.match(output, /SUCCESS/);
    assert.equal(await hasAutoApproval(), true);
  });

  await t.step("the upgraded cluster keeps the kubelet's credentials and our arguments", async () => {
    const manifest = async (name: string) => await controlPlane.read(`/etc/kubernetes/manifests/kube-${name}.yaml`);
    assert.match(await manifest("controller-manager"), /--cluster-signing-cert-file=\n/);
    assert.match(await manifest("apiserver"), /--authorization-config=\/etc\/kubernetes\/bootstrapper\//);
    assert.match(await controlPlane.read("/etc/kubernetes/kubelet.conf"), /bootstrapper-client\.pem/);
    const kubelet = await controlPlane.read("/var/lib/kubelet/config.yaml");
    assert.match(kubelet, /^tlsCertFile: \/var\/lib\/kubelet\/pki\/bootstrapper-serving\.pem$/m);
    assert.match(kubelet, /^rotateCertificates: true$/m, "the flag in the drop-in is still needed");
  });

  await t.step(
    "what a node asks for itself is approved, and never signed; another signer works meanwhile",
    async () => {
      const subject = nodeSubjectText("worker-9");
      using node = new KubernetesApi(await cluster.credentials(subject));
      const own = await ca.csr("/O=system:nodes/CN=system:node:worker-9");
      const kubeletRequest = await request(node, own.csrPem, "kube-apiserver-client-kubelet");
      const isApproved = async () => {
        const { conditions } = await statusOf(admin, kubeletRequest);
        return conditions?.some(({ type }) => type === "Approved") || undefined;
      };
      await pollUntil(isApproved, { ...WAIT, failure: "The request of the node was not approved" });
      const other = await ca.csr("/O=people/CN=somebody");
      const otherRequest = await request(admin, other.csrPem, "kube-apiserver-client");
      await approve(admin, otherRequest);
      const isSigned = async () => (await statusOf(admin, otherRequest)).certificate !== undefined || undefined;
      await pollUntil(isSigned, { ...WAIT, failure: "The request of the other signer was not signed" });
      assert.equal((await statusOf(admin, kubeletRequest)).certificate, undefined);
    },
  );
});
