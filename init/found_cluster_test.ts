import assert from "node:assert/strict";
import { join } from "node:path";
import { createCertificateAuthority, issueAdminCertificate } from "../certificate/ca.ts";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { admittedNodeSubject, nodeSubject } from "../certificate/subjects.ts";
import { kubeconfig, readKubeconfig } from "../kubernetes/kubeconfig.ts";
import { kubeletKubeconfigPath, nodeCertificatePath, readNodeCertificate } from "../kubernetes/kubelet_credentials.ts";
import { systemClock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { InitRequest } from "../proto/gen/bootstrapper.ts";
import type { FoundingInit } from "./found_cluster.ts";
import { INIT_SEQUENCE } from "./found_cluster.ts";

/** An init on a machine with its own folder. `calls` records the calls that it makes. */
async function founding(kubernetesFolder: string): Promise<{ readonly init: FoundingInit; readonly calls: string[] }> {
  const calls: string[] = [];
  const call = (name: string) => Promise.resolve(void calls.push(name));
  const clusterDocument = "kubernetesVersion: v1.36.3\n";
  const init: FoundingInit = {
    node: { name: "n1", address: "192.0.2.1" },
    identity: () => Promise.resolve("00"),
    kubernetesFolder,
    kubeletFolder: join(kubernetesFolder, "kubelet"),
    kubeadm: { init: () => call("kubeadm init") },
    enableKubelet: () => call("enable"),
    joinServicePort: 9444,
    installJoinService: () => call("join service"),
    clock: systemClock,
    random: Math.random,
    onWaiting() {},
    staged: {
      ca: await createCertificateAuthority(new Date()),
      request: InitRequest.fromPartial({ clusterName: "demo", clusterDocument }),
    },
    cluster: { nodeName: "n1", apiEndpoints: ["192.0.2.1:6443"], joinEndpoints: ["192.0.2.1:9444"] },
    journal: { detail() {} },
    signal: new AbortController().signal,
  };
  return { init, calls };
}

Deno.test("the step certificates installs the cluster's CA, and removes what a killed writer left of its key", async () => {
  const folder = await Deno.makeTempDir();
  const pki = join(folder, "pki");
  const { init } = await founding(folder);
  await Deno.mkdir(pki);
  await Deno.writeTextFile(join(pki, ".ca.key.0123456789abcdef.tmp"), await privateKeyPem(init.staged.ca.keys));
  const { holds, run } = INIT_SEQUENCE["certificates"] ?? assert.fail();
  assert.equal(await holds?.(init), false);
  await run(init);
  assert.deepEqual([...Deno.readDirSync(pki)].map(({ name }) => name).sort(), ["ca.crt", "ca.key"]);
  assert.equal(await Deno.readTextFile(join(pki, "ca.key")), await privateKeyPem(init.staged.ca.keys));
  assert.equal((Deno.statSync(join(pki, "ca.key")).mode ?? 0) & 0o777, 0o600);
  assert.equal(await holds?.(init), true);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the step certificates gives the kubelet credentials of epoch 1, which name no admission", async () => {
  const folder = await Deno.makeTempDir();
  const { init } = await founding(folder);
  const { holds, run } = INIT_SEQUENCE["certificates"] ?? assert.fail();
  await run(init);
  const paths = { kubernetes: folder, kubelet: init.kubeletFolder };
  const { server, certificatePem } = await readKubeconfig(kubeletKubeconfigPath(paths));
  assert.equal(server, "https://192.0.2.1:6443");
  const client = await readNodeCertificate(paths, "client") ?? assert.fail();
  assert.equal(certificatePem, writePem("CERTIFICATE", client.der));
  assert.deepEqual(client.subject.attributes, admittedNodeSubject("n1", { epoch: 1 }));
  const serving = await readNodeCertificate(paths, "serving") ?? assert.fail();
  assert.deepEqual(serving.subject.attributes, nodeSubject("n1"));
  await Deno.remove(nodeCertificatePath(paths.kubelet, "client"));
  assert.equal(await holds?.(init), false);
  await run(init);
  assert.equal(await holds?.(init), true);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the step kubeadm-init enables the kubelet before kubeadm makes an etcd that needs it", async () => {
  const { init, calls } = await founding("/nonexistent");
  await INIT_SEQUENCE["kubeadm-init"]?.run(init);
  assert.deepEqual(calls, ["enable", "kubeadm init"]);
});

Deno.test("the step access calls the node's own API server when the kubeconfig names a load balancer", async () => {
  const folder = await Deno.makeTempDir();
  const { init } = await founding(folder);
  const { ca } = init.staged;
  const caPem = writePem("CERTIFICATE", ca.certificate.der);
  const keys = await generateKeyPair("p-256");
  const text = kubeconfig({
    ...{ clusterName: "demo", userName: "admin", server: "https://balancer.invalid:6443", caPem },
    certificatePem: writePem("CERTIFICATE", (await issueAdminCertificate(ca, keys.spki, new Date())).der),
    keyPem: await privateKeyPem(keys),
  });
  await Deno.writeTextFile(join(folder, "admin.conf"), text);
  const access = INIT_SEQUENCE["access"] ?? assert.fail();
  await assert.rejects(access.run({ ...init, node: { name: "n1", address: "127.0.0.1" } }), (error: unknown) => {
    assert.ok(error instanceof BootstrapError && error.code === "unavailable/kubernetes-api" && error.retriable);
    return error.message.includes("Cannot reach https://127.0.0.1:6443");
  });
  await Deno.remove(folder, { recursive: true });
});
