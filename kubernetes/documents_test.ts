import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { controlPlaneEndpoint, initDocuments, joinDocument } from "./documents.ts";
import { defaultTimeouts, readClusterSettings } from "./settings.ts";

const settings = readClusterSettings("{kubernetesVersion: v1.36.3, podSubnet: 10.244.0.0/16, kubeProxy: false}");
const node = { name: "cp-1", address: "10.0.0.1" };
const read = (text: string): unknown[] => parseAllDocuments(text).map((document) => document.toJS());

const registration = {
  name: "cp-1",
  criSocket: "unix:///run/containerd/containerd.sock",
  imagePullPolicy: "Never",
  kubeletExtraArgs: [{ name: "node-ip", value: "10.0.0.1" }, { name: "hostname-override", value: "cp-1" }],
};

/** No file for a signer of kubelets' certificates. */
const signers = [
  { name: "cluster-signing-cert-file", value: "" },
  { name: "cluster-signing-key-file", value: "" },
  { name: "cluster-signing-kube-apiserver-client-cert-file", value: "/etc/kubernetes/pki/ca.crt" },
  { name: "cluster-signing-kube-apiserver-client-key-file", value: "/etc/kubernetes/pki/ca.key" },
];

Deno.test("the documents of a node with addresses of both families name both to the kubelet", () => {
  const dual = { ...node, secondAddress: "fd00::1" };
  const networks =
    "{kubernetesVersion: v1.36.3, podSubnet: '10.244.0.0/16,fd00:244::/56', serviceSubnet: '10.96.0.0/16,fd00:96::/112'}";
  const [init, cluster] = parseAllDocuments(
    initDocuments(readClusterSettings(networks), { clusterName: "blue", node: dual }),
  )
    .map((document) => document.toJS());
  const nodeIp = { name: "node-ip", value: "10.0.0.1,fd00::1" };
  assert.deepEqual(init.nodeRegistration.kubeletExtraArgs[0], nodeIp);
  assert.equal(init.localAPIEndpoint.advertiseAddress, "10.0.0.1");
  assert.deepEqual(cluster.networking, {
    podSubnet: "10.244.0.0/16,fd00:244::/56",
    serviceSubnet: "10.96.0.0/16,fd00:96::/112",
  });
  assert.deepEqual(cluster.apiServer.certSANs, ["10.0.0.1", "fd00::1", "cp-1", "127.0.0.1"]);
  const facts = { node: dual, discoveryKubeconfigPath: "/run/x", timeouts: defaultTimeouts };
  const [join] = parseAllDocuments(joinDocument(facts)).map((document) => document.toJS());
  assert.deepEqual(join.nodeRegistration.kubeletExtraArgs[0], nodeIp);
});

Deno.test("initDocuments() writes what kubeadm reads, and no token", () => {
  assert.deepEqual(read(initDocuments(settings, { clusterName: "blue", node })), [
    {
      apiVersion: "kubeadm.k8s.io/v1beta4",
      kind: "InitConfiguration",
      nodeRegistration: registration,
      localAPIEndpoint: { advertiseAddress: "10.0.0.1", bindPort: 6443 },
      timeouts: defaultTimeouts,
    },
    {
      apiVersion: "kubeadm.k8s.io/v1beta4",
      kind: "ClusterConfiguration",
      clusterName: "blue",
      kubernetesVersion: "v1.36.3",
      controlPlaneEndpoint: "10.0.0.1:6443",
      encryptionAlgorithm: "ECDSA-P256",
      networking: { podSubnet: "10.244.0.0/16" },
      apiServer: {
        certSANs: ["10.0.0.1", "cp-1", "127.0.0.1"],
        extraArgs: [
          { name: "kubelet-certificate-authority", value: "/etc/kubernetes/pki/ca.crt" },
          { name: "authorization-config", value: "/etc/kubernetes/bootstrapper/authorization.yaml" },
        ],
        extraVolumes: [{
          ...{ name: "bootstrapper", readOnly: true, pathType: "Directory" },
          ...{ hostPath: "/etc/kubernetes/bootstrapper", mountPath: "/etc/kubernetes/bootstrapper" },
        }],
      },
      controllerManager: { extraArgs: signers },
      dns: { disabled: false },
      proxy: { disabled: true },
    },
    {
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      cgroupDriver: "systemd",
      rotateCertificates: false,
      serverTLSBootstrap: false,
      tlsCertFile: "/var/lib/kubelet/pki/bootstrapper-serving.pem",
      tlsPrivateKeyFile: "/var/lib/kubelet/pki/bootstrapper-serving.pem",
    },
  ]);
});

Deno.test("initDocuments() includes a configured endpoint in the API server's certificate", () => {
  const named = { ...settings, controlPlaneEndpoint: "k8s.example.org:443" };
  const [, cluster] = parseAllDocuments(initDocuments(named, { clusterName: "blue", node }));
  assert.deepEqual(cluster?.getIn(["apiServer", "certSANs", 2]), "k8s.example.org");
  assert.equal(cluster?.get("controlPlaneEndpoint"), "k8s.example.org:443");
});

Deno.test("initDocuments() passes on the timing of etcd's members", () => {
  const patient = { ...settings, etcd: { heartbeatIntervalMs: 500, electionTimeoutMs: 5000 } };
  const [, cluster] = read(initDocuments(patient, { clusterName: "blue", node }));
  assert.partialDeepStrictEqual(cluster, {
    etcd: {
      local: {
        extraArgs: [{ name: "heartbeat-interval", value: "500" }, { name: "election-timeout", value: "5000" }],
      },
    },
  });
});

Deno.test("initDocuments() passes on the leader election's timing, in addition to the signers", () => {
  const leaderElection = { leaseDuration: "60s", renewDeadline: "45s", retryPeriod: "5s" };
  const [, cluster] = read(initDocuments({ ...settings, leaderElection }, { clusterName: "blue", node }));
  const election = [
    { name: "leader-elect-lease-duration", value: "60s" },
    { name: "leader-elect-renew-deadline", value: "45s" },
    { name: "leader-elect-retry-period", value: "5s" },
  ];
  assert.partialDeepStrictEqual(cluster, {
    controllerManager: { extraArgs: [...signers, ...election] },
    scheduler: { extraArgs: election },
  });
});

Deno.test("initDocuments() keeps every value a string when a cluster has the name of a number", () => {
  const [, cluster] = parseAllDocuments(initDocuments(settings, { clusterName: "1e3", node }));
  assert.equal(cluster?.get("clusterName"), "1e3");
});

Deno.test("controlPlaneEndpoint() puts brackets around an IPv6 address", () => {
  assert.equal(controlPlaneEndpoint(settings, { name: "a", address: "fd00::1" }), "[fd00::1]:6443");
});

Deno.test("joinDocument() names the discovery file, and no token", () => {
  const discoveryKubeconfigPath = "/run/bootstrapper/discovery.conf";
  assert.deepEqual(read(joinDocument({ node, discoveryKubeconfigPath, timeouts: defaultTimeouts })), [{
    apiVersion: "kubeadm.k8s.io/v1beta4",
    kind: "JoinConfiguration",
    discovery: { file: { kubeConfigPath: discoveryKubeconfigPath } },
    nodeRegistration: registration,
    timeouts: defaultTimeouts,
  }]);
});

Deno.test("joinDocument() names the API server's address, and no certificate key, when the node is a control plane", () => {
  const facts = { node, discoveryKubeconfigPath: "/run/bootstrapper/discovery.conf", timeouts: defaultTimeouts };
  const [worker, controlPlane] = [joinDocument(facts), joinDocument(facts, "control-plane")].map((text) =>
    read(text)[0]
  );
  assert.deepEqual(controlPlane, {
    ...(worker as Record<string, unknown>),
    controlPlane: { localAPIEndpoint: { advertiseAddress: "10.0.0.1", bindPort: 6443 } },
  });
});
