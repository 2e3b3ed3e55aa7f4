import assert from "node:assert/strict";
import * as v from "valibot";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { initDocuments } from "../../../kubernetes/documents.ts";
import { readKubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { readNewClusterSettings } from "../../../kubernetes/new_cluster.ts";
import { prepareBinaries } from "../../tools/prepare_binaries.ts";
import { capture } from "../../tools/run.ts";
import { World } from "../../world.ts";
import { KUBEADM_DEADLINE_MS, kubeadmOn, TestCa } from "./cluster.ts";

const AUDIT = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n";
const ENCRYPTION = `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources: [{resources: [secrets], providers: [{secretbox: {keys: [{name: k, secret: ${btoa("k".repeat(32))}}]}}]}]
`;
const PATCH = "metadata: {labels: {patched: by-the-operator}}\n";

/** A cluster file that sets all of the page's settings. */
const FILE = `kubernetesVersion: v1.36.3
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controlPlaneEndpoint: ENDPOINT
certificateValidityPeriod: 720h
imageRepository: registry.example.org/k8s
networking: {podSubnet: 10.180.0.0/16, serviceSubnet: 10.190.0.0/16, dnsDomain: corp.example}
apiServer:
  certSANs: [api.example.org]
  extraArgs:
    - {name: audit-policy-file, value: /etc/kubernetes/operator/audit.yaml}
    - {name: audit-log-path, value: /var/lib/kubelet/audit.log}
    - {name: encryption-provider-config, value: /etc/kubernetes/operator/encryption.yaml}
    - {name: oidc-issuer-url, value: "https://issuer.example.org"}
    - {name: oidc-client-id, value: kubernetes}
    - {name: event-ttl, value: 2h}
    - {name: feature-gates, value: "MutatingAdmissionPolicy=true"}
  extraVolumes:
    - {name: operator, hostPath: /etc/kubernetes/operator, mountPath: /etc/kubernetes/operator, readOnly: true, pathType: Directory}
controllerManager:
  extraArgs: [{name: node-cidr-mask-size, value: "25"}, {name: cloud-provider, value: external}]
  extraVolumes: [{name: cm, hostPath: /etc/kubernetes/operator, mountPath: /etc/kubernetes/operator}]
  extraEnvs: [{name: GOGC, value: "90"}]
scheduler:
  extraArgs: [{name: profiling, value: "false"}]
  extraVolumes: [{name: sched, hostPath: /etc/kubernetes/operator, mountPath: /etc/kubernetes/operator}]
etcd: {local: {imageTag: 9.9.9, serverCertSANs: [etcd.example.org], extraArgs: [{name: quota-backend-bytes, value: "4294967296"}]}}
dns: {imageRepository: registry.example.org/dns, imageTag: v9.9.9}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration:
  taints: [{key: dedicated, value: masters, effect: NoSchedule}]
  kubeletExtraArgs: [{name: node-labels, value: zone=a}]
patches: {directory: /etc/kubernetes/operator/patches}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 42
containerLogMaxSize: 5Mi
evictionHard: {memory.available: 200Mi}
systemReserved: {cpu: 100m}
serializeImagePulls: false
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
metricsBindAddress: 127.0.0.1:10249
conntrack: {maxPerCore: 4096}
`;

/** A setting of the page, where it is read back, and what is there. */
type Row = readonly [setting: string, where: keyof Seen, there: RegExp];

/** What was read back from the cluster. */
interface Seen {
  /** The command lines of the processes that run. */
  readonly processes: string;
  /** The manifests of the static Pods. */
  readonly manifests: string;
  /** The certificates, as openssl prints them. */
  readonly certificates: string;
  /** What the kubelet starts with. */
  readonly kubelet: string;
  /** The API server's objects. */
  readonly objects: string;
}

const ROWS: readonly Row[] = [
  ["`networking.podSubnet`", "processes", /kube-controller-manager .*--cluster-cidr=10\.180\.0\.0\/16/],
  ["`networking.serviceSubnet`", "processes", /kube-apiserver .*--service-cluster-ip-range=10\.190\.0\.0\/16/],
  ["`networking.dnsDomain`", "kubelet", /clusterDomain: corp\.example/],
  ["`imageRepository`", "manifests", /image: registry\.example\.org\/k8s\/kube-apiserver:v1\.36\.3/],
  ["`certificateValidityPeriod`", "certificates", /apiserver .*days=(29|30)\b/],
  ["`apiServer.certSANs`", "certificates", /apiserver .*DNS:api\.example\.org/],
  [
    "`apiServer.extraArgs`: audit",
    "processes",
    /kube-apiserver .*--audit-policy-file=\/etc\/kubernetes\/operator\/audit\.yaml/,
  ],
  ["`apiServer.extraArgs`: audit log", "objects", /audit-log "apiVersion":"audit\.k8s\.io\/v1"/],
  ["`apiServer.extraArgs`: encryption at rest", "objects", /etcd k8s:enc:secretbox:v1:k:/],
  ["`apiServer.extraArgs`: OIDC", "processes", /kube-apiserver .*--oidc-issuer-url=https:\/\/issuer\.example\.org/],
  ["`apiServer.extraArgs`: times", "processes", /kube-apiserver .*--event-ttl=2h/],
  [
    "`apiServer.extraArgs`: feature gates",
    "objects",
    /kubernetes_feature_enabled\{name="MutatingAdmissionPolicy",[^}]*\} 1/,
  ],
  ["`apiServer.extraVolumes`", "manifests", /path: \/etc\/kubernetes\/operator\n\s+type: Directory/],
  ["`controllerManager.extraArgs`", "processes", /kube-controller-manager .*--node-cidr-mask-size=25/],
  ["`controllerManager.extraArgs`: cloud provider", "processes", /kube-controller-manager .*--cloud-provider=external/],
  ["`controllerManager.extraVolumes`", "manifests", /name: cm\n/],
  ["`controllerManager.extraEnvs`", "manifests", /name: GOGC\n\s+value: "90"/],
  ["`scheduler.extraArgs`", "processes", /kube-scheduler .*--profiling=false/],
  ["`scheduler.extraVolumes`", "manifests", /name: sched\n/],
  ["`etcd.local.extraArgs`", "processes", /etcd .*--quota-backend-bytes=4294967296/],
  ["`etcd.local.imageTag`", "manifests", /image: registry\.example\.org\/k8s\/etcd:9\.9\.9/],
  ["`etcd.local.serverCertSANs`", "certificates", /etcd\/server .*DNS:etcd\.example\.org/],
  ["`dns.imageRepository`, `dns.imageTag`", "objects", /registry\.example\.org\/dns\/coredns:v9\.9\.9/],
  ["`nodeRegistration.taints`", "objects", /"taints":\[[^\]]*"key":"dedicated"/],
  ["`nodeRegistration.kubeletExtraArgs`", "kubelet", /--node-labels=zone=a/],
  ["`patches.directory`", "manifests", /patched: by-the-operator/],
  ["KubeletConfiguration `maxPods`", "kubelet", /^maxPods: 42$/m],
  ["KubeletConfiguration `containerLogMaxSize`", "kubelet", /^containerLogMaxSize: 5Mi$/m],
  ["KubeletConfiguration `evictionHard`", "kubelet", /memory\.available: 200Mi/],
  ["KubeletConfiguration `systemReserved`", "kubelet", /systemReserved:\n\s+cpu: 100m/],
  ["KubeletConfiguration `serializeImagePulls`", "kubelet", /^serializeImagePulls: false$/m],
  ["KubeProxyConfiguration `mode`", "objects", /mode: nftables/],
  ["KubeProxyConfiguration `metricsBindAddress`", "objects", /metricsBindAddress: 127\.0\.0\.1:10249/],
  ["KubeProxyConfiguration `conntrack`", "objects", /maxPerCore: 4096/],
];

Deno.test("each setting of kubeadm's documents arrives in the component that it is for", async (t) => {
  const { dir } = await prepareBinaries();
  await using world = await World.create({ binaries: dir });
  const ca = await TestCa.create();
  const node = await world.node("cp-1");
  await ca.layInto(node);
  await node.write("/etc/kubernetes/operator/audit.yaml", AUDIT);
  await node.write("/etc/kubernetes/operator/encryption.yaml", ENCRYPTION);
  await node.write("/etc/kubernetes/operator/patches/kube-scheduler+strategic.yaml", PATCH);
  const settings = readNewClusterSettings(FILE.replace("ENDPOINT", `${node.ip}:6443`), "cluster.yaml");
  node.startKubeletStandIn();
  const documents = initDocuments(settings, { clusterName: "test", node: { name: node.name, address: node.ip } });
  await (await kubeadmOn(node)).init(documents, { deadlineMs: KUBEADM_DEADLINE_MS });
  using admin = new KubernetesApi(await readKubeconfig(node.path("/etc/kubernetes/admin.conf")));
  const shell = async (script: string) =>
    (await node.run(["sh", "-c", script], { deadlineMs: KUBEADM_DEADLINE_MS })).output;
  const object = async (path: string) => JSON.stringify(await admin.get(path, v.unknown())).replaceAll("\\n", "\n");
  await admin.create("/api/v1/namespaces/default/secrets", { metadata: { name: "hidden" }, data: {} }, v.unknown());
  const certificate = async (name: string) => {
    const file = node.path(`/etc/kubernetes/pki/${name}.crt`);
    const text = await capture(["openssl", "x509", "-noout", "-in", file, "-ext", "subjectAltName", "-enddate"]);
    const end = Date.parse(/notAfter=(.*)/.exec(text)?.[1] ?? "");
    return `${name} days=${Math.round((end - Date.now()) / 86_400_000)} ${text.replaceAll("\n", " ")}`;
  };
  const etcd = "etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt " +
    "--cert=/etc/kubernetes/pki/etcd/server.crt --key=/etc/kubernetes/pki/etcd/server.key";
  const seen: Seen = {
    processes: await shell(`for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done 2>/dev/null`),
    manifests: await shell("cat /etc/kubernetes/manifests/*.yaml"),
    certificates: (await Promise.all(["apiserver", "etcd/server"].map(certificate))).join("\n"),
    kubelet: await shell("cat /var/lib/kubelet/config.yaml /var/lib/kubelet/kubeadm-flags.env"),
    objects: [
      await object("/apis/apps/v1/namespaces/kube-system/deployments/coredns"),
      await object("/api/v1/namespaces/kube-system/configmaps/kube-proxy"),
      await object(`/api/v1/nodes/${node.name}`),
      `audit-log ${(await shell("head -c 400 /var/lib/kubelet/audit.log")).replace(/.*?("apiVersion")/s, "$1")}`,
      `etcd ${await shell(
        `${etcd} get /registry/secrets/default/hidden --print-value-only | head -c 60 | tr -d '\\0'`,
      )}`,
      await shell(
        "kubectl --kubeconfig=/etc/kubernetes/admin.conf get --raw /metrics | grep kubernetes_feature_enabled",
      ),
    ].join("\n"),
  };
  for (const [setting, where, there] of ROWS) {
    await t.step(setting, () => assert.match(seen[where], there));
  }
});

Deno.test("the page of settings lists what is shown here", async () => {
  const page = await Deno.readTextFile(new URL("../../../docs/settings.md", import.meta.url));
  const [, table = ""] = /\n## What arrives where\n(.*?)\n## /s.exec(page) ?? [];
  const listed = table.split("\n").filter((line) => line.startsWith("| ")).map((line) => line.split("|")[1]?.trim());
  assert.deepEqual(listed.slice(2), ROWS.map(([setting]) => setting));
});
