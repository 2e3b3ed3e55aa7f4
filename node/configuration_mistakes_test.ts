/**
 * Documents as people write them, with the answer that each must get: taken, or refused with the words that help.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { parse, stringify } from "yaml";
import { clusterRemarks, readNewClusterSettings } from "../kubernetes/new_cluster.ts";
import { readClusterSettings } from "../kubernetes/settings.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readPolicy } from "../attestation/policy/policy.ts";
import { configurationRemarks, readNewNodeConfiguration, readNodeConfiguration } from "./configuration.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJQerGpWlI80JcEic8Yna9LIKtBoKILqft3+7VpvjUyh bootstrapper operator";
const TRUST = `version: 1\ntrust:\n  clusterName: demo\n  operatorKeys:\n    - ${KEY}\n`;
const JOIN = 'join:\n  endpoints: ["10.77.0.11:9444"]\n';
const VERSION = "kubernetesVersion: v1.36.3\n";

/** What a reader says of a document: nothing, or why it refuses it. */
function answer(read: (text: string, what: string) => unknown, text: string): string {
  try {
    read(text, "FILE");
    return "";
  } catch (error) {
    assert.ok(error instanceof BootstrapError && /^usage\//.test(error.code), String(error));
    return error.message;
  }
}

type Row = readonly [name: string, text: string, answer: "taken" | RegExp | readonly RegExp[]];

function check(read: (text: string, what: string) => unknown, rows: readonly Row[]): void {
  for (const [name, text, expected] of rows) {
    const seen = answer(read, text);
    if (expected === "taken") assert.equal(seen, "", name);
    else for (const part of [expected].flat() as RegExp[]) assert.match(seen, part, name);
  }
}

const endpoint = (text: string) => `${TRUST}join:\n  endpoints:\n    - ${text}\n`;
const node = (text: string) => `${TRUST}node:\n  ${text}\n${JOIN}`;

Deno.test("readNewNodeConfiguration() takes an endpoint, or says what to write instead", () => {
  check(readNewNodeConfiguration, [
    ["without a port", endpoint("10.77.0.11"), /line 8: join\.endpoints\[0\]: .*write 10\.77\.0\.11:9444/],
    [
      "a text, no list",
      `${TRUST}join:\n  endpoints: 10.77.0.11:9444\n`,
      /line 7: .*expected a list.*write a list: - "10/,
    ],
    ["a URL", endpoint("https://10.77.0.11:9444"), /leave out https:\/\/: write 10\.77\.0\.11:9444/],
    ["another URL", endpoint("http://cp.example.org:9444/join"), /leave out http:\/\/: write cp\.example\.org:9444/],
    ["IPv6 without brackets", endpoint('"fd00:77::11:9444"'), /brackets: write \[fd00:77::11\]:9444/],
    ["an underscore", endpoint("k8s_master:9444"), /"_" is not allowed in a host name/],
    ["a final dot", endpoint("cp.example.org.:9444"), /leave out the final dot: write cp\.example\.org:9444/],
    ["no IPv4 address", endpoint("10.77.0.256:9444"), /10\.77\.0\.256 is no IPv4 address/],
    ["a zone", endpoint('"[fe80::1%eth0]:9444"'), /leave out the zone/],
    ["two in one", endpoint("10.77.0.11:9444,10.77.0.12:9444"), /must be one endpoint/],
    ["a variable", endpoint('"${CP_IP}:9444"'), /a variable was not filled in: "\$\{CP_IP\}:9444"/],
    ["an empty port", endpoint('"10.77.0.11:"'), /the port is missing: write 10\.77\.0\.11:9444/],
    ["any address", endpoint("0.0.0.0:9444"), /the address is unspecified/],
    ["link-local", endpoint('"[fe80::1]:9444"'), /the address is link-local/],
    ["a port too large", endpoint("cp:99999"), /port must be from 1 to 65535/],
    ["capitals", endpoint("CP.Example.org:9444"), "taken"],
    ["a number to listen on", `${TRUST}init:\n  listen: 9443\n${JOIN}`, /init\.listen: expected HOST:PORT in quotes/],
    ["any address of IPv6", `${TRUST}init:\n  listen: "::"\n${JOIN}`, /write \[::\]:9443/],
    ["a name to listen on", `${TRUST}init:\n  listen: "cp-1:9443"\n${JOIN}`, /must be an IP address of this machine/],
  ]);
});

Deno.test("readNewNodeConfiguration() takes a name or an address, or says what to write instead", () => {
  check(readNewNodeConfiguration, [
    ["with a domain", node("name: node-1.example.org"), "taken"],
    ["a number", node("name: 01"), /line 7: node\.name: expected string, seen 1, a number; write it in quotes/],
    ["capitals", node("name: Node-1"), /capital letters: write node-1/],
    ["an underscore", node("name: node_1"), /"_" is not allowed: write node-1/],
    ["too long for a label's value", node(`name: ${"a".repeat(60)}.example`), /68 characters, and at most 63/],
    ["the form of an address", node("name: 10.77.0.21"), /has the form of an IPv4 address/],
    ["localhost", node("name: localhost"), /no node may be called localhost/],
    ["a Service's name", node("name: kubernetes.default.svc"), /no node may be called kubernetes\.default\.svc/],
    ["a variable", node("name: ${HOSTNAME}"), /a variable was not filled in: "\$\{HOSTNAME\}"/],
    ["another variable", node("name: {{ hostname }}"), /variable was not filled in, at line 7/],
    ["a prefix", node("address: 10.77.0.21/24"), /leave out the length: write 10\.77\.0\.21/],
    ["a network", node("address: 10.77.0.0/24"), /addressFrom: 10\.77\.0\.0\/24/],
    ["the network in its place", node("addressFrom: 10.77.0.0/24"), "taken"],
    ["both", node("addressFrom: 10.77.0.0/24\n  address: 10.77.0.21"), /node\.addressFrom: node\.address names/],
    ["loopback in its long form", node('address: "0:0:0:0:0:0:0:1"'), /cannot reach "0:0:0:0:0:0:0:1": it is loopback/],
    ["loopback as IPv4 in IPv6", node('address: "::ffff:127.0.0.1"'), /it is loopback/],
    ["link-local, written otherwise", node('address: "FEBF:0::1"'), /it is link-local/],
    ["no IPv4 address", node("address: 10.77.0.256"), /10\.77\.0\.256 is no IPv4 address/],
    ["a zone", node('address: "fe80::1%eth0"'), /leave out the zone/],
    ["dual stack", node("address: 10.77.0.21,fd00:77::21"), "taken"],
    ["dual stack by networks", node("addressFrom: 10.77.0.0/24,fd00:77::/64"), "taken"],
    [
      "dual stack as a list",
      node('address: [10.77.0.21, "fd00:77::21"]'),
      /node\.address: .*a comma between them, without/,
    ],
    ["two addresses of a family", node("address: 10.77.0.21,10.78.0.21"), /both are IPv4: write one, or one of each/],
    ["two networks of a family", node('addressFrom: "fd00:77::/64,fd00:78::/64"'), /both are IPv6/],
    [
      "three addresses",
      node("address: 10.77.0.21,fd00:77::21,10.78.0.21"),
      /at most two are allowed, one of each family/,
    ],
    ["a space", node("address: 10.77.0.21, fd00:77::21"), /leave out the space at the comma/],
    ["a second one that is none", node("address: 10.77.0.21,::1"), /other nodes cannot reach "::1": it is loopback/],
    ["with brackets", node('address: "[fd00:77::21]"'), /leave out the brackets: write fd00:77::21/],
    ["with a port", node("address: 10.77.0.21:6443"), /leave out the port: write 10\.77\.0\.21/],
    ["a cluster's name with dots", TRUST.replace("demo", "prod.example.org") + JOIN, /it has dots: write prod/],
  ]);
});

Deno.test("readNodeConfiguration() takes what members may have from earlier, and configurationRemarks() names it", () => {
  const rows: readonly (readonly [text: string, remark: RegExp])[] = [
    [endpoint("169.254.20.1:9444"), /^join\.endpoints\[0\]: .*link-local/],
    [endpoint('"[ff02::1]:9444"'), /^join\.endpoints\[0\]: .*multicast/],
    [endpoint("0.0.0.0:9444"), /^join\.endpoints\[0\]: .*unspecified/],
    [node("name: kubernetes"), /^node\.name: no node may be called kubernetes/],
    [node("name: localhost"), /^node\.name: no node may be called localhost/],
    [node('address: "::ffff:10.77.0.21"'), /^node\.address: write the IPv4 address itself/],
  ];
  for (const [text, expected] of rows) {
    const [remark = "", ...others] = configurationRemarks(readNodeConfiguration(text, "FILE"));
    assert.match(remark, expected);
    assert.deepEqual(others, []);
    const refusal = answer(readNewNodeConfiguration, text);
    assert.ok(/line \d+: /.test(refusal) && refusal.endsWith(remark), refusal);
  }
  assert.deepEqual(configurationRemarks(readNodeConfiguration(TRUST + JOIN, "FILE")), []);
});

Deno.test("readNewNodeConfiguration() says what to write instead of keys and values that it does not know", () => {
  const evidence = (text: string) => `${TRUST}evidence: {${text}}\n${JOIN}`;
  check(readNewNodeConfiguration, [
    ["a role without a hyphen", node("role: controlplane"), /node\.role: .*did you mean "control-plane"\?/],
    ["a role of old", node("role: master"), /"master" is none of worker, control-plane$/],
    ["labels and taints", node("labels: {zone: a}\n  taints: [x]"), [
      /node\.labels .*kubectl label/,
      /node\.taints .*kubectl taint/,
    ]],
    ["a proxy", `${TRUST}proxy: {httpsProxy: x}\n${JOIN}`, /proxy is no key here; this program uses no proxy$/],
    [
      "a quoted version",
      TRUST.replace("1", '"1"') + JOIN,
      /version: expected 1, seen "1", a text; write 1 without quotes/,
    ],
    ["no version", (TRUST + JOIN).replace("version: 1\n", ""), /version is missing: write version: 1/],
    ["an RSA key", TRUST.replace(KEY, "ssh-rsa AAAA me") + JOIN, /an operator's key must be Ed25519/],
    [
      "a file of a key",
      TRUST.replace(KEY, "/root/operator.pub") + JOIN,
      /write the key itself, not the name of its file/,
    ],
    ["a file of a key in this folder", TRUST.replace(KEY, "operator.pub") + JOIN, /write the key itself/],
    ["a comment with the form of a file's name", TRUST.replace(KEY, `${KEY} alice@example.pub`) + JOIN, "taken"],
    ["one key", `version: 1\ntrust: {clusterName: demo, operatorKey: ${KEY}}\n${JOIN}`, /"operatorKeys"/],
    ["another kind", evidence("variant: tpm2"), /did you mean "tpm"\?/],
    ["no allowance", evidence("variant: none"), /evidence\.allowInsecure: it must be true/],
    ["yes", evidence("variant: none, allowInsecure: yes"), /a text in YAML 1\.2; write true/],
    ["nothing to do", `${TRUST}init: {enabled: false}\n`, /join\.endpoints: at least one is needed/],
    ["two typing errors", `${TRUST}node: {adress: 10.77.0.21}\njoin: {endpoint: []}\n`, [/"address"/, /"endpoints"/]],
    ["nothing", "", /it is empty/],
    ["a list", "- a\n- b\n", /it has no keys: it is a list$/],
    ["an alias", `${TRUST}node:\n  role: &r worker\n  name: *r\n`, /anchors and aliases are not allowed, at line 8/],
    ["a byte order mark and CRLF", `\ufeff${(TRUST + JOIN).replaceAll("\n", "\r\n")}`, "taken"],
  ]);
});

Deno.test("readNewNodeConfiguration() names a far key's place and no key that is far from it", () => {
  const said = answer(readNewNodeConfiguration, `${TRUST}certSANs: []\n${JOIN}`);
  assert.match(said, /certSANs is no key here; the keys here are version, trust, node,/);
  assert.doesNotMatch(said, /nearest/);
});

Deno.test("readNewNodeConfiguration() names all problems of a document at once", () => {
  const text =
    `version: 2\ntrust:\n  clusterName: Demo\n  operatorKeys: [x]\n  more: 1\nnode:\n  role: boss\n  a: 1\n  b: 2\n` +
    `join:\n  endpoints: [":1", "a_b:2"]\n`;
  const said = answer(readNewNodeConfiguration, text);
  const keys = ["version", "trust.clusterName", "trust.operatorKeys[0]", "trust.more", "node.role", "node.a", "node.b"]
    .concat(["join.endpoints[0]", "join.endpoints[1]"]);
  const lines = [1, 3, 4, 5, 7, 8, 9, 11, 11];
  keys.forEach((key, index) => assert.ok(said.includes(`line ${lines[index]}: ${key}`), `${key} in ${said}`));
});

Deno.test("readNewNodeConfiguration() names all impossible combinations at once", () => {
  const said = answer(
    readNewNodeConfiguration,
    `${TRUST}evidence: {variant: none, ekType: rsa2048}\ninit: {enabled: false}\n`,
  );
  for (const key of ["join.endpoints", "evidence.allowInsecure", "evidence.ekType"]) {
    assert.ok(said.includes(key), said);
  }
});

const DOCUMENTS: Readonly<Record<string, readonly [text: string, what: RegExp]>> = {
  "kubeadm's": [
    "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n",
    /this is kubeadm's document JoinConfiguration/,
  ],
  "the kubelet's": [
    "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n",
    /this is the kubelet's document/,
  ],
  "a kubeconfig": ["apiVersion: v1\nkind: Config\nclusters: []\n", /this is a kubeconfig/],
  "an object": ["apiVersion: v1\nkind: ConfigMap\ndata: {}\n", /this is (?:the Kubernetes object|a) ConfigMap/],
  "cloud-config": ["#cloud-config\nhostname: node-1\n", /this is a cloud-config/],
  "cloud-config below a comment": ["# mine\n#cloud-config\nhostname: node-1\n", /this is a cloud-config/],
  "a script": ["#!/bin/sh\necho: 1\n", /this is a script/],
  "a key": ["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", /this is a PEM file/],
  "a cluster file": ["version: 1\nclusterName: demo\nclusterId: x\nfounding: {}\n", /this is a cluster file/],
};
const OURS: Readonly<
  Record<
    "node" | "cluster" | "policy",
    readonly [text: string, what: RegExp, read: (text: string, what: string) => unknown]
  >
> = {
  node: [TRUST + JOIN, /this is a node's configuration/, readNewNodeConfiguration],
  cluster: [VERSION, /this is a cluster document/, readNewClusterSettings],
  policy: ["version: 1\nvariant: tpm\ntpm: {}\n", /this is a policy/, readPolicy],
};

Deno.test("each reader recognises documents of another kind, and names the one that it expects", () => {
  for (const [kind, [, , read]] of Object.entries(OURS)) {
    for (const [name, [text, what]] of Object.entries(DOCUMENTS)) {
      assert.match(answer(read, text), what, `${name} as ${kind}`);
    }
    for (const [other, [text, what]] of Object.entries(OURS)) {
      if (other !== kind) assert.match(answer(read, text), what, `${other} as ${kind}`);
    }
  }
  assert.match(
    answer(readNewNodeConfiguration, VERSION),
    /a node's configuration is expected, see deploy\/node-worker\.example\.yaml$/,
  );
});

const cluster = (text: string) => `${VERSION}${text}\n`;
const api = (text: string) => cluster(`controlPlaneEndpoint: ${text}`);

Deno.test("readNewClusterSettings() takes a version, or says what to write instead", () => {
  check(readNewClusterSettings, [
    ["without v", "kubernetesVersion: 1.36.3\n", /line 1: kubernetesVersion: .*write v1\.36\.3/],
    ["without a patch", "kubernetesVersion: v1.36\n", /last number is missing/],
    ["a number", "kubernetesVersion: 1.36\n", /kubernetesVersion: must be a released version/],
    ["a label", "kubernetesVersion: stable-1\n", /no version is looked up on a network/],
    ["a candidate", "kubernetesVersion: v1.37.0-rc.1\n", /only releases are supported/],
    ["too old", "kubernetesVersion: v1.30.2\n", /v1beta4 .*since v1\.31/],
    ["old enough", "kubernetesVersion: v1.31.0\n", "taken"],
  ]);
});

Deno.test("readNewClusterSettings() takes an endpoint that all nodes can reach, or says what to write instead", () => {
  check(readNewClusterSettings, [
    ["without a port", api("k8s.example.org"), /port is missing: write k8s\.example\.org:6443/],
    ["a URL", api("https://k8s.example.org:6443"), /leave out https:\/\//],
    ["no IPv4 address", api("10.77.0.256:6443"), /10\.77\.0\.256 is no IPv4 address/],
    ["too many numbers", api("10.77.0.1.1:6443"), /is no IPv4 address/],
    ["IPv6 without brackets", api('"fd00:77::100:6443"'), /write \[fd00:77::100\]:6443/],
    ["localhost", api("localhost:6443"), /line 2: controlPlaneEndpoint localhost:6443 is each node itself/],
    ["loopback", api("127.0.0.1:6443"), /each node would call itself/],
    ["another loopback", api('"[::1]:6443"'), /each node would call itself/],
    ["any address", api("0.0.0.0:6443"), /each node would call itself/],
    ["link-local", api('"[fe80::1]:6443"'), /is link-local/],
    ["multicast", api("224.0.0.1:6443"), /is multicast/],
    ["a Service's address", api("10.96.0.1:6443"), /in the network of the Services, 10\.96\.0\.0\/12/],
    [
      "a Pod's address",
      cluster("controlPlaneEndpoint: 10.244.0.1:6443\npodSubnet: 10.244.0.0/16"),
      /network of the Pods/,
    ],
    ["another family", api('"[fd00:77::1]:6443"'), /is IPv6 and the Services' network 10\.96\.0\.0\/12 is IPv4/],
    ["a load balancer that comes later", api("lb.example.internal:6443"), "taken"],
  ]);
  assert.equal(readNewClusterSettings(api("K8S.Example.org:6443")).controlPlaneEndpoint, "k8s.example.org:6443");
});

Deno.test("clusterRemarks() says that an endpoint has another program's port", () => {
  const remarks = (text: string) =>
    clusterRemarks(readNewClusterSettings(cluster(`podSubnet: 10.244.0.0/16\n${text}`)));
  assert.match(remarks("controlPlaneEndpoint: 10.77.0.100:9444")[0] ?? "", /9444, which is the join service's/);
  assert.match(remarks("controlPlaneEndpoint: 10.77.0.100:9443")[0] ?? "", /9443, which is the InitServer's/);
  assert.deepEqual(remarks("controlPlaneEndpoint: 10.77.0.100:6443"), []);
  assert.match(clusterRemarks(readNewClusterSettings(VERSION))[0] ?? "", /podSubnet is not set/);
});

Deno.test("readNewClusterSettings() takes networks that a cluster can have, or says what to write instead", () => {
  const pods = (text: string) => cluster(`podSubnet: ${text}`);
  const services = (text: string) => cluster(`serviceSubnet: ${text}`);
  const both = (podSubnet: string, serviceSubnet: string) =>
    cluster(`podSubnet: ${podSubnet}\nserviceSubnet: ${serviceSubnet}`);
  check(readNewClusterSettings, [
    ["dual stack", both("10.244.0.0/16,fd00:244::/56", "10.96.0.0/16,fd00:96::/112"), "taken"],
    ["dual stack, IPv6 first", both("10.244.0.0/16,fd00:244::/56", "fd00:96::/112,10.96.0.0/16"), "taken"],
    ["dual stack as a list", pods('[10.244.0.0/16, "fd00:244::/56"]'), /write two networks with a comma between them/],
    [
      "dual stack of the Pods alone",
      pods("10.244.0.0/16,fd00:244::/56"),
      /is IPv4 and IPv6 and the default .* is IPv4/,
    ],
    [
      "dual stack of the Services alone",
      both("10.244.0.0/16", "10.96.0.0/16,fd00:96::/112"),
      /of both families for both/,
    ],
    ["two networks of a family", pods("10.244.0.0/16,10.245.0.0/16"), /both are IPv4/],
    [
      "a second network that is too large",
      both("10.244.0.0/16,fd00:244::/32", "10.96.0.0/16,fd00:96::/112"),
      /podSubnet fd00:244::\/32 is too large.*write \/48/,
    ],
    [
      "a second network that overlaps",
      both("10.244.0.0/16,fd00:96::/64", "10.96.0.0/16,fd00:96::/112"),
      /podSubnet 10\.244\.0\.0\/16,fd00:96::\/64 overlaps serviceSubnet/,
    ],
    ["overlap", both("10.96.0.0/12", "10.96.0.0/12"), /podSubnet 10\.96\.0\.0\/12 overlaps serviceSubnet/],
    ["overlap with the default", pods("10.100.0.0/16"), /overlaps the default serviceSubnet 10\.96\.0\.0\/12/],
    ["one node's IPv6", both("fd00:244::/64", "fd00:96::/112"), /each node takes a \/64 of it/],
    ["one node's IPv4", pods("10.244.0.0/24"), /each node takes a \/24 of it/],
    ["too large, IPv6", both("fd00:244::/32", "fd00:96::/112"), /at most 16 bits .*\/64.*write \/48/],
    ["too large, IPv4", pods("96.0.0.0/4"), /write \/8 or longer/],
    ["Services too large, IPv6", services("fd00:96::/64"), /at most 20 bits, so write \/108/],
    ["Services too large, IPv4", services("10.0.0.0/8"), /at most 20 bits, so write \/12/],
    ["Services too small", services("10.96.0.0/30"), /too small .*\/28/],
    ["mixed families", both("10.244.0.0/16", "fd00:96::/112"), /is IPv4 and serviceSubnet fd00:96::\/112 is IPv6/],
    ["mixed with the default", pods("fd00:244::/56"), /is IPv6 and the default serviceSubnet .* is IPv4/],
    ["bits of a host", pods("10.244.1.7/16"), /the network is 10\.244\.0\.0\/16/],
    ["bits of a host, IPv6", both("fd00:244::7/56", "fd00:96::/112"), /the network is fd00:244::\/56/],
    ["everything", pods("0.0.0.0/0"), /is every address/],
    ["loopback", pods("127.0.0.0/16"), /contains loopback addresses/],
    ["no length", pods("10.244.0.0"), /length is missing, as in "10\.244\.0\.0\/16"/],
    ["a length too large", pods("10.244.0.0/33"), /from 0 to 32/],
    ["IPv6", both("fd00:244::/56", "fd00:96::/112"), "taken"],
    ["IPv4", both("10.244.0.0/16", "10.96.0.0/16"), "taken"],
  ]);
});

Deno.test("readNewClusterSettings() says what to write instead of keys and values that it does not know", () => {
  check(readNewClusterSettings, [
    ["podCIDR", cluster("podCIDR: 10.244.0.0/16"), /podCIDR is no key here; it is podSubnet/],
    [
      "imageRepository",
      cluster("imageRepository: registry.example.org/k8s"),
      /imageRepository .*write it in a ClusterConfiguration/,
    ],
    ["dnsDomain", cluster("dnsDomain: example.internal"), /dnsDomain .*write it in a ClusterConfiguration/],
    ["apiServer", cluster("apiServer: {extraArgs: {}}"), /apiServer .*write it in a ClusterConfiguration/],
    ["a text for a truth value", cluster('coreDns: "false"'), /write false without quotes/],
    ["two keys", cluster("proxyMode: ipvs\nfeatureGates: {X: true}"), [/line 2: proxyMode/, /line 3: featureGates/]],
    ["names", cluster("nodeName: cp-1\nclusterName: demo"), [/nodeName .*node\.name/, /clusterName .*--name/]],
    ["a duration of Go's", cluster("timeouts: {kubeletHealthCheck: 4m0s, discovery: 1h30m}"), "taken"],
    ["no duration", cluster("timeouts: {kubeletHealthCheck: 0s}"), /timeouts\.kubeletHealthCheck: must be a duration/],
    ["days", cluster("nodeCertificateLifetime: 7d"), /nodeCertificateLifetime: must be a duration .*seen "7d"/],
  ]);
});

Deno.test("readClusterSettings() still takes what clusters that are there may have", () => {
  const texts = ["podSubnet: 10.96.0.0/12", "podSubnet: 10.244.1.7/16", "serviceSubnet: 10.0.0.0/8"];
  for (const text of [...texts, "controlPlaneEndpoint: localhost:6443"]) readClusterSettings(cluster(text));
});

Deno.test("readNewClusterSettings() and readNodeConfiguration() throw only usage errors whatever a value is", () => {
  const value = fc.oneof(fc.json(), fc.ipV4(), fc.ipV6(), fc.domain(), fc.webUrl(), fc.string({ unit: "binary" }));
  const keys = fc.constantFrom("controlPlaneEndpoint", "podSubnet", "serviceSubnet", "kubernetesVersion", "x");
  fc.assert(fc.property(keys, value, (key, text) => {
    answer(readNewClusterSettings, stringify({ kubernetesVersion: "v1.36.3", [key]: text }));
    answer(readNewClusterSettings, stringify({ kubernetesVersion: "v1.36.3", [key]: `${text}/16` }));
  }));
  fc.assert(fc.property(fc.constantFrom("name", "address", "addressFrom", "role"), value, (key, text) => {
    answer(readNodeConfiguration, stringify({ ...parse(TRUST), node: { [key]: text }, join: { endpoints: [text] } }));
  }));
});

Deno.test("readNodeConfiguration() shows the value that it refuses, unless that may be a secret", () => {
  const trust = (key: string, more = "") =>
    `version: 1\ntrust:\n  clusterName: demo\n${more}  operatorKeys:\n    - ${key}\n`;
  check(readNodeConfiguration, [
    [
      "a cluster ID without its prefix",
      trust(KEY, `  clusterId: "${"4f".repeat(32)}"\n`) + JOIN,
      /clusterId: it must be "sha256:" .*current value is "4f4f.*: write sha256:4f4f/,
    ],
    ["another type of key", trust("ssh-rsa AAAAB3 me"), /must be Ed25519.*current value is "ssh-rsa AAAAB3 me"/],
    ["a damaged key", trust("ssh-ed25519 AAAAC3 me"), /operatorKeys\[0\]: .*current value is "ssh-ed25519 AAAAC3 me"/],
    ["a private key", trust('"-----BEGIN PRIVATE KEY-----SECRET"'), /this is a private key: [^S]*$/],
    ["a text that may be a secret", trust("hunter2-hunter2"), /current value has 15 characters$/],
    [
      "a kind that does not exist",
      `${trust(KEY)}evidence:\n  variant: [tpm, tpm2]\n${JOIN}`,
      /evidence\.variant\[1\]: "tpm2" is none of .*; did you mean "tpm"\?$/,
    ],
  ]);
  check(readClusterSettings, [
    [
      "a number as a duration",
      `version: 1\n${VERSION}timeouts: {kubeletHealthCheck: 6}\n`,
      /kubeletHealthCheck: .*current value is 6/,
    ],
    [
      "a short lifetime",
      `version: 1\n${VERSION}nodeCertificateLifetime: 10m\n`,
      /must be from 1h .*current value is "10m"/,
    ],
  ]);
  check((text, what) => readPolicy(text, what), [
    [
      "a short digest",
      "version: 1\nvariant: tpm\nbannedIdentities: [ab]\n",
      /must be a SHA-256 digest.*current value is "ab"/,
    ],
  ]);
});

Deno.test("readNodeConfiguration() gives advice that fits where no key is wrong", () => {
  const advice = (text: string) => {
    try {
      readNodeConfiguration(text, "FILE");
    } catch (error) {
      assert.ok(error instanceof BootstrapError);
      return `${error.message}. ${error.next}`;
    }
    return "";
  };
  assert.match(advice(""), /it has no keys: it is empty\. Correct FILE, or give the file that was meant$/);
  assert.match(
    advice("apiVersion: kubeadm.k8s.io/v1beta4\nkind: X\n"),
    /kubeadm's document X; .*\. Give the file that is/,
  );
  assert.match(advice("a: [\n"), /\. Correct the YAML of FILE$/);
  assert.match(advice("a:\n\tb: 1\n"), /it has a tab: indent with spaces/);
});
