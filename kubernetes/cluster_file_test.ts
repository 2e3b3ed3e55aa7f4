import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { DocumentError } from "../platform/document.ts";
import { initDocuments, joinDocument } from "./documents.ts";
import { readNewClusterSettings } from "./new_cluster.ts";
import { defaultTimeouts, readClusterSettings } from "./settings.ts";

const NODE = { name: "cp-1", address: "192.0.2.1" };

const FILE = `# our own document
kubernetesVersion: v1.36.3
nodeCertificateLifetime: 24h
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controlPlaneEndpoint: k8s.example.org:6443
networking:
  podSubnet: 10.244.0.0/16
  dnsDomain: corp.example
imageRepository: registry.example.org/k8s
apiServer:
  certSANs: [k8s.example.org, api.example.org]
  extraArgs:
    - {name: audit-log-path, value: /var/log/kubernetes/audit.log}
  extraVolumes:
    - {name: audit, hostPath: /var/log/kubernetes, mountPath: /var/log/kubernetes}
dns: {disabled: true, imageTag: v1.14.2}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration:
  taints: []
  kubeletExtraArgs:
    - {name: node-labels, value: zone=a}
timeouts: {kubeletHealthCheck: 7m0s}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 250
cgroupDriver: cgroupfs
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
nodeRegistration:
  kubeletExtraArgs:
    - {name: node-labels, value: pool=b}
patches: {directory: /etc/kubernetes/patches}
`;

// deno-lint-ignore no-explicit-any
const written = (yaml: string): Record<string, any> =>
  Object.fromEntries(parseAllDocuments(yaml).map((document) => [document.toJS().kind, document.toJS()]));

Deno.test("kubeadm's documents are laid under what the bootstrapper sets", () => {
  const settings = readNewClusterSettings(FILE, "cluster.yaml");
  assert.equal(settings.controlPlaneEndpoint, "k8s.example.org:6443");
  assert.equal(settings.podSubnet, "10.244.0.0/16");
  assert.equal(settings.coreDns, false);
  assert.equal(settings.timeouts.kubeletHealthCheck, "7m0s");
  const { ClusterConfiguration, InitConfiguration, KubeletConfiguration, KubeProxyConfiguration } = written(
    initDocuments(settings, { clusterName: "demo", node: NODE }),
  );
  assert.deepEqual(ClusterConfiguration.networking, { podSubnet: "10.244.0.0/16", dnsDomain: "corp.example" });
  assert.equal(ClusterConfiguration.imageRepository, "registry.example.org/k8s");
  assert.deepEqual(ClusterConfiguration.apiServer.certSANs, [
    ...["192.0.2.1", "cp-1", "k8s.example.org", "127.0.0.1", "api.example.org"],
  ]);
  const names = ClusterConfiguration.apiServer.extraArgs.map(({ name }: { name: string }) => name);
  assert.deepEqual(names, ["kubelet-certificate-authority", "authorization-config", "audit-log-path"]);
  assert.deepEqual(ClusterConfiguration.apiServer.extraVolumes.map(({ name }: { name: string }) => name), [
    ...["bootstrapper", "audit"],
  ]);
  assert.deepEqual(ClusterConfiguration.dns, { disabled: true, imageTag: "v1.14.2" });
  assert.equal(ClusterConfiguration.clusterName, "demo");
  assert.deepEqual(InitConfiguration.nodeRegistration.taints, []);
  assert.deepEqual(InitConfiguration.nodeRegistration.kubeletExtraArgs, [
    { name: "node-ip", value: "192.0.2.1" },
    { name: "hostname-override", value: "cp-1" },
    { name: "node-labels", value: "zone=a" },
  ]);
  assert.equal(KubeletConfiguration.maxPods, 250);
  assert.equal(KubeletConfiguration.cgroupDriver, "cgroupfs");
  assert.equal(KubeletConfiguration.rotateCertificates, false);
  assert.equal(KubeProxyConfiguration.mode, "nftables");
  const joinConfiguration = settings.kubeadm?.JoinConfiguration ?? {};
  const facts = { node: { name: "w-1", address: "192.0.2.2" }, discoveryKubeconfigPath: "/run/d.conf" };
  const { JoinConfiguration } = written(joinDocument({ ...facts, timeouts: defaultTimeouts, joinConfiguration }));
  assert.equal(JoinConfiguration.nodeRegistration.kubeletExtraArgs.at(-1).value, "pool=b");
  assert.deepEqual(JoinConfiguration.patches, { directory: "/etc/kubernetes/patches" });
});

Deno.test("a file of kubeadm's documents needs no cluster document, and one of them alone was meant for kubeadm", () => {
  const [, cluster = "", init] = FILE.split("---\n");
  const settings = readClusterSettings(`${cluster}kubernetesVersion: v1.36.3\n---\n${init}`);
  assert.equal(settings.kubernetesVersion, "v1.36.3");
  assert.equal(settings.nodeCertificateLifetime, "168h");
  assert.throws(() => readClusterSettings(cluster), /this is kubeadm's document ClusterConfiguration/);
});

/** What is wrong in one of kubeadm's documents: its lines, the line that is named, and what is said. */
const MISTAKES: readonly (readonly [lines: string, line: number, said: RegExp])[] = [
  ["kind: ClusterConfiguration\nclusterName: x", 5, /clusterName: this cannot be set: .* --name/],
  ["kind: ClusterConfiguration\ncertificatesDir: /pki", 5, /certificatesDir: this cannot be set: the cluster's CA/],
  [
    "kind: ClusterConfiguration\netcd:\n  external: {endpoints: []}",
    6,
    /etcd\.external: this cannot be set: etcd runs on/,
  ],
  ["kind: ClusterConfiguration\netcd: {local: {dataDir: /d}}", 5, /etcd\.local\.dataDir/],
  ["kind: ClusterConfiguration\nencryptionAlgorithm: RSA-2048", 5, /ECDSA P-256/],
  ["kind: ClusterConfiguration\napiserver: {}", 5, /apiserver: kubeadm's ClusterConfiguration has no such field/],
  [
    "kind: ClusterConfiguration\napiServer:\n  extraArgs:\n  - {name: authorization-mode, value: RBAC}",
    7,
    /apiServer\.extraArgs\[0\]: --authorization-mode cannot be set/,
  ],
  [
    "kind: ClusterConfiguration\ncontrollerManager:\n  extraArgs:\n  - {name: --cluster-signing-key-file, value: x}",
    7,
    /--cluster-signing-key-file cannot be set/,
  ],
  ["kind: ClusterConfiguration\napiServer: {extraArgs: {v: '4'}}", 5, /it must be a list of \{name, value\}/],
  ["kind: ClusterConfiguration\nscheduler: {extraArgs: [{name: v, value: 4}]}", 5, /both texts/],
  [
    "kind: ClusterConfiguration\napiServer: {extraVolumes: [{name: bootstrapper, hostPath: /a, mountPath: /a}]}",
    5,
    /the bootstrapper's own volume/,
  ],
  [
    "kind: ClusterConfiguration\napiServer: {extraVolumes: [{name: a, hostPath: /a, mountPath: /etc/kubernetes/pki/}]}",
    5,
    /apiServer\.extraVolumes\[0\]: a volume at \/etc\/kubernetes\/pki\/ hides \/etc\/kubernetes\/pki/,
  ],
  [
    "kind: ClusterConfiguration\nscheduler: {extraVolumes: [{name: a, hostPath: /a, mountPath: /etc/./kubernetes}]}",
    5,
    /scheduler\.extraVolumes\[0\]: .* hides \/etc\/kubernetes\/scheduler\.conf/,
  ],
  [
    "kind: ClusterConfiguration\ncontrollerManager: {extraVolumes: [{name: a, hostPath: /a, mountPath: /}]}",
    5,
    /controllerManager\.extraVolumes\[0\]: .* hides \/etc\/kubernetes\/pki/,
  ],
  [
    "kind: ClusterConfiguration\napiServer: {extraArgs: [{name: service-cluster-ip-range, value: 10.0.0.0/8}]}",
    5,
    /--service-cluster-ip-range cannot be set/,
  ],
  [
    "kind: InitConfiguration\nnodeRegistration: {kubeletExtraArgs: [{name: config-dir, value: /etc/kubelet.d}]}",
    5,
    /--config-dir cannot be set/,
  ],
  ...[
    ["zone=a,node-role.kubernetes.io/worker=x", /a node may not give itself "node-role\.kubernetes\.io\/worker"/],
    ["zone", /must have the form KEY=VALUE; seen "zone"/],
    ["zone=a/b", /at most 63 letters/],
  ].map(([labels, said]): readonly [string, number, RegExp] => [
    `kind: JoinConfiguration\nnodeRegistration: {kubeletExtraArgs: [{name: node-labels, value: "${String(labels)}"}]}`,
    5,
    said instanceof RegExp ? said : /^$/,
  ]),
  ["kind: ClusterConfiguration\nnetworking: {podSubnet: 10.0.0.0}", 5, /podSubnet/],
  ["kind: ClusterConfiguration\nkubernetesVersion: v1.36.3", 5, /the cluster document has kubernetesVersion too/],
  ["kind: InitConfiguration\nbootstrapTokens: []", 5, /no bootstrap token exists/],
  ["kind: InitConfiguration\nnodeRegistration: {name: x}", 5, /nodeRegistration\.name: this cannot be set/],
  ["kind: InitConfiguration\nskipPhases: [addon]", 5, /skipPhases: this cannot be set/],
  [
    "kind: InitConfiguration\nnodeRegistration: {kubeletExtraArgs: [{name: node-ip, value: '1'}]}",
    5,
    /--node-ip cannot be set/,
  ],
  ["kind: InitConfiguration\nnodeRegistration: {ignorePreflightErrors: [all]}", 5, /name the checks/],
  ["kind: JoinConfiguration\ndiscovery: {}", 5, /discovery: this cannot be set/],
  ["kind: JoinConfiguration\ncontrolPlane: {}", 5, /the policy decides/],
  [
    "kind: ClusterConfiguration\napiServer: {extraArgs: [{name: authorization_config, value: /x}]}",
    5,
    /--authorization-config cannot be set/,
  ],
  ["kind: ClusterConfiguration\napiServer: {extraArgs: [{name: v=2 --x, value: a}]}", 5, /an argument's name has/],
  [
    "kind: ClusterConfiguration\napiServer: {extraArgs: [{name: disable-admission-plugins, value: NodeRestriction}]}",
    5,
    /cannot be set/,
  ],
  [
    "kind: ClusterConfiguration\napiServer: {extraArgs: [{name: enable-admission-plugins, value: X}]}",
    5,
    /must have NodeRestriction/,
  ],
  ["kind: ClusterConfiguration\napiServer: {certSANs: api.example.org}", 5, /apiServer\.certSANs: it must be a list/],
  ["kind: ClusterConfiguration\napiServer: []", 5, /apiServer: it must be a mapping/],
  [
    "kind: ClusterConfiguration\napiServer: {extraVolumes: [{name: a, hostPath: /etc/kubernetes/./bootstrapper, mountPath: /a}]}",
    5,
    /the bootstrapper's own volume/,
  ],
  [
    "kind: InitConfiguration\nnodeRegistration: {kubeletExtraArgs: [{name: v, value: 2 --node-ip=192.0.2.9}]}",
    5,
    /must have no blanks/,
  ],
  [
    "kind: ResetConfiguration",
    4,
    /kind: it must be one of ClusterConfiguration, .*current value is "ResetConfiguration"/,
  ],
];

Deno.test("what would take the kubelet from the cluster is refused by its name", () => {
  const fields = [
    ...["staticPodURL: http://192.0.2.9/", "containerRuntimeEndpoint: unix:///a", "imageServiceEndpoint: unix:///a"],
    ...[
      "registerNode: false",
      "readOnlyPort: 10255",
      "staticPodPath: /a",
      "authentication: {anonymous: {enabled: true}}",
    ],
  ];
  for (const field of fields) {
    const document = `apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n${field}\n`;
    assert.throws(
      () => readClusterSettings(`kubernetesVersion: v1.36.3\n---\n${document}`, "cluster.yaml"),
      new RegExp(`line 5: ${field.split(":")[0]}: this cannot be set`),
    );
  }
});

Deno.test("what the bootstrapper sets is refused by its name, with its line and the reason", () => {
  for (const [lines, line, said] of MISTAKES) {
    const text = `kubernetesVersion: v1.36.3\n---\napiVersion: kubeadm.k8s.io/v1beta4\n${lines}\n`;
    assert.throws(() => readClusterSettings(text, "cluster.yaml"), (error: unknown) => {
      assert.ok(error instanceof DocumentError, String(error));
      assert.match(error.message, said);
      assert.equal(error.problems[0]?.line, line, lines);
      return true;
    });
  }
});

Deno.test("all problems of all documents are told at once; two of one kind, and old versions, are refused", () => {
  const bad = `kubernetesVersion: v1.36.3
podCIDR: x
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
serverTLSBootstrap: true
authentication: {}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
`;
  assert.throws(() => readClusterSettings(bad, "cluster.yaml"), (error: unknown) => {
    assert.ok(error instanceof DocumentError);
    assert.deepEqual(error.problems.map(({ line }) => line), [4, 9, 10, 2]);
    assert.match(error.message, /`kubeadm config migrate` writes it anew/);
    return true;
  });
  const [own, ...kubelets] = bad.split("---\n");
  const twice = [own?.replace("podCIDR: x\n", ""), kubelets[2], kubelets[2]].join("---\n");
  assert.throws(() => readClusterSettings(twice), /there are two of KubeletConfiguration/);
});
