import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import fc from "fast-check";
import { stringify } from "yaml";
import { readPolicy } from "../attestation/policy/policy.ts";
import { readClusterSettings } from "../kubernetes/settings.ts";
import { hex } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { deriveToken, tokenKeyText } from "../protocol/founding_token.ts";
import { trustDigest } from "../protocol/transcript.ts";
import type { NodeConfiguration } from "./configuration.ts";
import { configurationRemarks, readNewNodeConfiguration, readNodeConfiguration } from "./configuration.ts";

const TOKEN = "bft1-qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5yd59d8";
const TOKEN_KEY = tokenKeyText((await deriveToken(TOKEN, "demo")).spki);
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJQerGpWlI80JcEic8Yna9LIKtBoKILqft3+7VpvjUyh bootstrapper operator";
const ID = `sha256:${"ab".repeat(32)}`;
const A = "a".repeat(64);
const B = "b".repeat(64);
const POLICY =
  `{version: 1, variant: tpm, tpm: {ekType: rsa2048, pcrs: {"4": ["${A}"]}, trust: {identities: ["${B}"]}}, ` +
  `roles: {controlPlanes: ["${B}"]}}`;
const PEERS = 'founding: {peers: ["10.77.0.12", "10.77.0.13:9443"]}\n';
const trust = (founding: string, more = "") =>
  `version: 1\ntrust:\n  clusterName: demo\n  operatorKeys: []\n${more}  founding: ${founding}\n`;
const BY_POLICY = trust(`{size: 3, policy: ${POLICY}}`);
const NONE = "evidence: {variant: none, allowInsecure: true}\n";
const WITHOUT_PROOF = trust(`{size: 3, tokenKey: "${TOKEN_KEY}"}`);
const BY_TOKEN = WITHOUT_PROOF + NONE;
const BY_BOTH = trust(`{size: 3, policy: ${POLICY}, tokenKey: "${TOKEN_KEY}"}`);
const JOIN = 'join: {endpoints: ["10.77.0.11:9444"]}\n';

const read = (text: string): NodeConfiguration => readNewNodeConfiguration(text, "FILE");

function answer(text: string): string {
  try {
    read(text);
    return "";
  } catch (error) {
    assert.ok(error instanceof BootstrapError && /^usage\/(?:document|configuration)$/.test(error.code), String(error));
    const said = JSON.stringify([error.message, error.details, error.next]);
    assert.ok(!said.includes(TOKEN.slice(5, 13)), said);
    return error.message;
  }
}

Deno.test("a founder's configuration has its founding, the policy, and the join services of the other founders", () => {
  const { trust: { founding }, ...rest } = read(BY_BOTH + PEERS);
  assert.equal(founding?.size, 3);
  assert.equal(hex(founding.policyDigest), hex(rest.foundingPolicy?.digest ?? new Uint8Array()));
  assert.equal(tokenKeyText(founding.tokenKey), TOKEN_KEY);
  assert.deepEqual(rest.founding, {
    listen: { host: "0.0.0.0", port: 9443 },
    discovery: { by: "peers", peers: [{ host: "10.77.0.12", port: 9443 }, { host: "10.77.0.13", port: 9443 }] },
  });
  assert.equal(rest.node.role, "control-plane");
  assert.equal(rest.init.enabled, false);
  assert.deepEqual(rest.join.endpoints, [{ host: "10.77.0.12", port: 9444 }, { host: "10.77.0.13", port: 9444 }]);
});

Deno.test("a founder's configuration takes a name for all founders, an address, a listener and join services of its own", () => {
  const dns = read(`${BY_TOKEN}founding: {dns: Founders.example.internal}\n`);
  assert.deepEqual(dns.founding?.discovery, { by: "dns", name: { host: "founders.example.internal", port: 9443 } });
  assert.deepEqual(dns.join.endpoints, [{ host: "founders.example.internal", port: 9444 }]);
  assert.equal(dns.foundingPolicy, undefined);
  const own = read(
    `${BY_TOKEN}founding: {address: 10.77.0.11, listen: "[::]:9553", peers: ["[fd00::1]", "a.example:9553", "a.example:1"]}\n${JOIN}`,
  );
  assert.deepEqual(own.founding?.address, { host: "10.77.0.11", port: 9445 });
  assert.deepEqual(own.founding?.listen, { host: "::", port: 9553 });
  assert.deepEqual(own.join.endpoints, [{ host: "10.77.0.11", port: 9444 }]);
  const { join: { endpoints } } = read(
    `${BY_TOKEN}founding: {peers: ["[fd00::1]", "a.example:9553", "a.example:1"]}\n`,
  );
  assert.deepEqual(endpoints.map((one) => "host" in one && one.host), ["fd00::1", "a.example"]);
});

Deno.test("a node whose trust part has a founding and that does not take part only joins", () => {
  const { founding, init, node, trust: { founding: trusted } } = read(BY_TOKEN + JOIN);
  assert.deepEqual([founding, init.enabled, node.role, trusted?.size], [undefined, false, "worker", 3]);
  assert.match(answer(BY_TOKEN), /join\.endpoints: at least one is needed, as this node runs no InitServer/);
  const known = read(trust(`{size: 3, policy: ${POLICY}}`, `  clusterId: ${ID}\n`) + JOIN);
  assert.equal(hex(known.trust.clusterId), "ab".repeat(32));
});

Deno.test("the digest of the policy is that of its canonical JSON as it is written, without defaults", async () => {
  const digestOf = (policy: string) =>
    hex(read(trust(`{size: 3, policy: ${policy}}`) + PEERS).foundingPolicy?.digest ?? new Uint8Array());
  const expected = `{"roles":{"controlPlanes":["${B}"]},"tpm":{"ekType":"rsa2048","pcrs":{"4":["${A}"]},` +
    `"trust":{"identities":["${B}"]}},"variant":"tpm","version":1}`;
  const { foundingPolicy } = read(BY_POLICY + PEERS);
  assert.equal(foundingPolicy?.document, expected);
  const digest = createHash("sha256").update(expected).digest("hex");
  assert.equal(hex(foundingPolicy.digest), digest);
  readPolicy(foundingPolicy.document, "it");
  const block = `\n    size: 3\n    policy:\n      tpm:\n        trust:\n          identities:\n            - ${B}\n` +
    `        pcrs: {4: [${A}]}\n        ekType: 'rsa2048'\n      variant: tpm # as ever\n      version: 0x1\n      roles: {controlPlanes: [${B}]}\n`;
  assert.equal(hex(read(trust(block) + PEERS).foundingPolicy?.digest ?? new Uint8Array()), digest);
  assert.notEqual(digestOf(POLICY.replace("variant: tpm,", "variant: [tpm],")), digest);
  assert.notEqual(digestOf(POLICY.replace("version: 1,", "version: 1, allowUnmeasuredImage: false,")), digest);
  assert.notEqual(digestOf(POLICY.replace(B, B.toUpperCase())), digest);
  const digests = [BY_POLICY, BY_TOKEN, BY_BOTH, BY_BOTH.replace("size: 3", "size: 5"), BY_BOTH.replace(A, B)]
    .map(async (text) => hex(await trustDigest(read(text + PEERS).trust)));
  assert.equal(new Set(await Promise.all(digests)).size, digests.length);
});

Deno.test("the policy for founders is read with all checks of a policy, and its problems have their lines", () => {
  const wrong = (text: string) => answer(trust(`\n    size: 3\n    policy: ${text}`) + PEERS);
  assert.match(wrong("tpm"), /trust\.founding\.policy: expected a mapping/);
  assert.match(
    wrong(
      "\n      version: 1\n      variant: tpm\n      tpm:\n        ekType: rsa2048\n        pcrs: {12: []}\n        trust: {}",
    ),
    /line 12: trust\.founding\.policy\.tpm\.pcrs\["12"\].*line 13: trust\.founding\.policy\.tpm\.trust/,
  );
  assert.match(wrong("{version: 1, variant: tpm}"), /trust\.founding\.policy\.tpm: is required for the variant tpm/);
  assert.match(
    wrong(POLICY.replace("version: 1", "versoin: 1")),
    /policy\.versoin is no key here; the nearest valid one is "version"/,
  );
  const half = POLICY.replace("version: 1,", 'version: 1, collateral: {folder: "/\\uD800"},');
  assert.match(wrong(half), /line 7: trust\.founding\.policy: Cannot write .* as JSON/);
});

Deno.test("the policy for founders pins machines", () => {
  const tcb = "{bootloader: 3, tee: 0, snp: 8, microcode: 115}";
  const snp = (more: string, rest = "") =>
    `{version: 1, variant: snp, snp: {products: {milan: {minimumTcb: ${tcb}, minimumLaunchTcb: ${tcb}}}, signingKeys: [vcek], ` +
    `measurements: ["${"3e".repeat(48)}"]${more}}${rest}}`;
  const of = (policy: string, tokenKey = `, tokenKey: "${TOKEN_KEY}"`) =>
    answer(`${trust(`{size: 3, policy: ${policy}${tokenKey}}`)}${PEERS}evidence: {variant: snp}\n`);
  const chip = `, chipIds: ["${"5a".repeat(64)}"]`;
  assert.match(
    of(snp("")),
    /trust\.founding\.policy: it admits machines that it does not pin: list the founders in roles/,
  );
  assert.equal(of(snp(chip)), "");
  assert.equal(of(snp("", `, roles: {controlPlanes: ["${A}"]}`)), "");
  assert.match(of(snp(chip), ""), /trust\.founding: it needs a tokenKey too: machines of the variant "snp"/);
  const none = `${trust(`{size: 3, policy: {version: 1, variant: none}, tokenKey: "${TOKEN_KEY}"}`)}${PEERS}` +
    "evidence: {variant: none, allowInsecure: true}\n";
  assert.match(answer(none), /trust\.founding\.policy: it admits machines that it does not pin/);
  const unlisted = BY_POLICY.replace(/, roles: \{controlPlanes: \["b+"\]\}/, "");
  assert.match(
    answer(unlisted + PEERS),
    /line 5: trust\.founding\.policy\.roles\.controlPlanes: it must list the founders/,
  );
});

Deno.test("a founder shows the evidence that its own policy asks for", () => {
  const founder = BY_POLICY + PEERS;
  assert.match(
    answer(`${founder}evidence: {variant: [tpm, snp]}\n`),
    /line \d+: evidence\.variant: trust\.founding\.policy has the variant tpm, and this founder shows tpm, snp/,
  );
  assert.match(
    answer(`${founder}allowUnmeasuredImage: true\n`),
    /line \d+: allowUnmeasuredImage: trust\.founding\.policy does not allow/,
  );
  const allowed = founder.replace("version: 1,", "version: 1, allowUnmeasuredImage: true,");
  assert.equal(answer(`${allowed}allowUnmeasuredImage: true\n`), "");
  // A worker may have evidence of another kind: the policy in force decides then.
  assert.equal(answer(`${BY_POLICY}${JOIN}evidence: {variant: snp}\n`), "");
});

Deno.test("a machine without proof is a control plane where the token alone founds", () => {
  assert.equal(read(BY_TOKEN + PEERS).node.role, "control-plane");
  assert.equal(answer(`${BY_TOKEN}${JOIN}node: {role: control-plane}\n`), "");
  assert.match(answer(`${BY_BOTH}${JOIN}${NONE}node: {role: control-plane}\n`), /node\.role: no join service makes/);
  assert.match(
    answer(WITHOUT_PROOF + PEERS),
    /evidence\.variant: without trust\.founding\.policy nobody looks at evidence/,
  );
});

Deno.test("what does not fit together is refused, with its line and what to do", () => {
  const rows: readonly (readonly [text: string, expected: RegExp])[] = [
    [`${trust("{size: 3}")}${PEERS}`, /line 5: trust\.founding: it needs a policy, .* or a tokenKey/],
    [
      `${BY_TOKEN}${PEERS}init: {enabled: true}\n`,
      /line 8: init\.enabled: with trust\.founding .* no InitServer starts/,
    ],
    [`${BY_TOKEN}${PEERS}init: {listen: "0.0.0.0:9443"}\n`, /init\.listen: this node runs no InitServer/],
    [
      `version: 1\ntrust: {clusterName: demo, operatorKeys: []}\n`,
      /line 2: trust\.operatorKeys: at least one operator key/,
    ],
    [
      `version: 1\ntrust: {clusterName: demo, operatorKeys: ["${KEY}"]}\n${PEERS}`,
      /line 3: founding: it goes only with trust\.f/,
    ],
    [
      `${trust(`{size: 3, tokenKey: "${TOKEN_KEY}"}`, `  clusterId: ${ID}\n`)}${PEERS}`,
      /line 7: founding: a node whose trust\.clu/,
    ],
    [`${BY_TOKEN}founding: {}\n`, /line 7: founding: it must have either peers/],
    [`${BY_TOKEN}founding: {peers: [a.example], dns: b.example}\n`, /line 7: founding: it must have either peers/],
    [`${BY_TOKEN}founding: {peers: []}\n`, /founding\.peers: at least one other founder is needed/],
    [`${BY_TOKEN}founding: {peers: [${Array.from({ length: 65 }, (_, i) => `h${i}.example`)}]}\n`, /at most 64 peers/],
    [
      `${BY_TOKEN}founding: {peers: [a.example, "A.example:9443"]}\n`,
      /founding\.peers\[1\]: it is the same founder as founding\.peers\[0\]/,
    ],
    [`${BY_TOKEN}founding: {peers: ["https://a.example"]}\n`, /founding\.peers\[0\]: leave out https:/],
    [`${BY_TOKEN}founding: {peers: ["0.0.0.0"]}\n`, /founding\.peers\[0\]: no founder can be reached at "0\.0\.0\.0"/],
    [`${BY_TOKEN}founding: {peers: a.example}\n`, /founding\.peers: expected a list/],
    [
      `${BY_TOKEN}founding: {dns: "10.77.0.12"}\n`,
      /founding\.dns: it must be a name .*write addresses under founding\.peers/,
    ],
    [`${BY_TOKEN}founding: {dns: "[fd00::1]"}\n`, /founding\.dns: it must be a name/],
    [`${BY_TOKEN}founding: {dns: "a_b.example"}\n`, /founding\.dns: "_" is not allowed/],
    [
      `${BY_TOKEN}founding: {dns: a.example, port: 1}\n`,
      /founding\.port is no key here; the port is that of founding\.listen/,
    ],
    [
      `${BY_TOKEN}founding: {dns: a.example, size: 3}\n`,
      /founding\.size is no key here; the number of founders is trust\.f/,
    ],
    [
      `${BY_TOKEN}founding: {dns: a.example, listen: "a.example:1"}\n`,
      /founding\.listen: the host must be an IP address/,
    ],
    [`${BY_TOKEN}founding: {dns: a.example, address: "169.254.1.1"}\n`, /founding\.address: no founder can be reached/],
    ...[9443, 9444, 2380].map((port) =>
      [
        `${BY_TOKEN}founding: {dns: a.example, address: "10.0.0.1:${port}"}\n`,
        new RegExp(`line 7: founding\\.address: .* port ${port}`),
      ] as const
    ),
    [`${BY_TOKEN}${PEERS}node: {role: worker}\n`, /line 8: node\.role: a founder is a control plane/],
    ...["0", "8", "2.5", "-1", '"3"', "true"].map((size) =>
      [`${trust(`{size: ${size}, tokenKey: "${TOKEN_KEY}"}`)}${PEERS}`, /line 5: trust\.founding\.size: /] as const
    ),
    [trust(`{tokenKey: "${TOKEN_KEY}"}`), /trust\.founding\.size/],
    [trust(`{size: 3, tokenKey: ${TOKEN}}`), /tokenKey: this is the founding token itself, a secret/],
    [trust(`{size: 3, token: ${TOKEN}}`), /trust\.founding\.token is no key here; the token is a secret/],
    [
      trust('{size: 3, tokenKey: "MCowBQYDK2Vw"}'),
      /tokenKey: it must be the token key that .* current value has 12 characters/,
    ],
    [trust(`{size: 3, tokenKey: "${KEY}"}`), /tokenKey: it must be the token key/],
    [trust("{size: 3, tokenKey: 7}"), /trust\.founding\.tokenKey: expected string/],
  ];
  for (const [text, expected] of rows) assert.match(answer(text), expected, text);
});

Deno.test("all problems of a founding are named at once", () => {
  const said = answer(
    `${
      trust(`{size: 3}`, `  clusterId: ${ID}\n`)
    }init: {enabled: true}\nfounding: {peers: [a.example, a.example]}\nnode: {role: worker, name: localhost}\n`,
  );
  for (
    const key of ["trust.founding:", "init.enabled:", "founding:", "founding.peers[1]:", "node.role:", "node.name:"]
  ) {
    assert.ok(said.includes(`line `) && said.includes(key), said);
  }
});

Deno.test("an even number of founders gets a remark, and an odd one none", () => {
  const sized = (size: number) => BY_TOKEN.replace("size: 3", `size: ${size}`);
  const endpoint = PEERS.replace(
    "}",
    ', cluster: {kubernetesVersion: v1.36.3, controlPlaneEndpoint: "a.example:6443"}}',
  );
  const remarks = (size: number) => configurationRemarks(read(sized(size) + endpoint));
  for (const size of [1, 3, 5, 7]) assert.deepEqual(remarks(size), []);
  assert.match(
    configurationRemarks(read(sized(3) + PEERS)).join(),
    /^founding\.cluster\.controlPlaneEndpoint is not set/,
  );
  assert.deepEqual(configurationRemarks(read(sized(1) + PEERS)), []);
  for (const size of [2, 4, 6]) {
    assert.match(remarks(size).join(), new RegExp(`size: ${size} control planes bear .*${size - 1}`));
  }
});

Deno.test("founding.clusterFile is the text of a cluster file, with kubeadm's own documents", () => {
  const cluster = "kubernetesVersion: v1.36.3\ncontrolPlaneEndpoint: a.example:6443\n---\n" +
    "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nnetworking: {dnsDomain: cluster.example}\n";
  const withFile = (text: string, more = "") =>
    read(`${BY_TOKEN}${PEERS.replace("}", `, clusterFile: ${JSON.stringify(text)}${more}}`)}`);
  const { founding } = withFile(cluster);
  assert.deepEqual(readClusterSettings(founding?.clusterDocument ?? "").kubeadm, {
    ClusterConfiguration: { networking: { dnsDomain: "cluster.example" } },
  });
  assert.deepEqual(configurationRemarks(withFile(cluster)), []);
  for (
    const [text, reason] of [
      ["/etc/bootstrapper/cluster.yaml", /founding\.clusterFile: it must be the text .* not its path/],
      [cluster.replace("networking", "networkin"), /founding\.clusterFile: .*line 6: .*networkin/],
      [cluster.replace("v1.36.3", "1"), /founding\.clusterFile: .*line 1: kubernetesVersion/],
    ] as const
  ) assert.throws(() => withFile(text), reason);
  assert.throws(
    () => withFile(cluster, ", cluster: {kubernetesVersion: v1.36.3}"),
    /clusterFile: .* leave one of them out/,
  );
});

Deno.test("readNodeConfiguration() takes a member's founders that no fresh node may have, and configurationRemarks() names them", () => {
  const text = `${BY_TOKEN}founding: {peers: ["224.0.0.1"], address: "0.0.0.0:9445"}\n`;
  const remarks = configurationRemarks(readNodeConfiguration(text, "FILE"));
  assert.match(remarks.join("; "), /founding\.peers\[0\]: .*multicast; founding\.address: .*unspecified/);
});

Deno.test("readNodeConfiguration() throws only usage errors whatever a founding has", () => {
  const values = fc.jsonValue({ maxDepth: 3 });
  const keys = fc.constantFrom("size", "policy", "tokenKey", "address", "listen", "peers", "dns", "x");
  const section = fc.dictionary(keys, values, { maxKeys: 4 });
  fc.assert(fc.property(fc.oneof(section, values), fc.oneof(section, values), (trusted, founding) => {
    const document = { version: 1, trust: { clusterName: "demo", operatorKeys: [], founding: trusted }, founding };
    try {
      read(stringify(document));
    } catch (error) {
      assert.ok(error instanceof BootstrapError && /^usage\//.test(error.code), String(error));
    }
  }));
});

Deno.test("the example of a founder is read, and founds by its token and its policy", async () => {
  const path = join(import.meta.dirname ?? ".", "../deploy/node-founding.example.yaml");
  const { founding, trust: trusted, node, foundingPolicy } = readNewNodeConfiguration(
    await Deno.readTextFile(path),
    path,
  );
  assert.equal(trusted.founding?.size, 3);
  assert.equal(trusted.founding.tokenKey.length, 44);
  assert.equal(founding?.discovery.by, "peers");
  assert.equal(node.role, "control-plane");
  readPolicy(foundingPolicy?.document ?? "", path);
});

Deno.test("the example of a founder by a token alone is read, and shows no evidence", async () => {
  const path = join(import.meta.dirname ?? ".", "../deploy/node-founding-token.example.yaml");
  const { founding, trust: trusted, foundingPolicy } = readNewNodeConfiguration(await Deno.readTextFile(path), path);
  assert.equal(trusted.founding?.tokenKey.length, 44);
  assert.equal(foundingPolicy, undefined);
  assert.deepEqual(trusted.variants, ["none"]);
  assert.deepEqual([...trusted.switches].toSorted(), ["allowInsecure", "allowUnmeasuredImage"]);
  assert.match(founding?.clusterDocument ?? "", /"controlPlaneEndpoint":"api\.example\.internal:6443"/);
});
