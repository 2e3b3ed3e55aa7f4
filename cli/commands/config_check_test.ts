/** `config check`: every mistake is named with its file, its line and its key. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { CommandRunner } from "../../platform/command.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { TestWorld } from "../testing/command_line.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJQerGpWlI80JcEic8Yna9LIKtBoKILqft3+7VpvjUyh bootstrapper operator";
const TOKEN_KEY = "MCowBQYDK2VwAyEAdokxxrIYPcC40agef3vBTKX8SusnP8Hhc0Xg5BF/kEA=";
const TRUST = `version: 1\ntrust:\n  clusterName: demo\n  operatorKeys:\n    - ${KEY}\n`;
const JOIN = 'join:\n  endpoints: ["10.77.0.11:9444"]\n';
const NODE = TRUST + JOIN;
const VERSION = "kubernetesVersion: v1.36.3\n";
const CLUSTER = `${VERSION}podSubnet: 10.244.0.0/16\n`;
const POLICY = "version: 1\nvariant: none\nnames: {default: [worker-*]}\n";
const node = (text: string) => `${TRUST}node:\n  ${text}\n${JOIN}`;
const endpoint = (text: string) => `${TRUST}join:\n  endpoints:\n    - ${text}\n`;

/** The output for files of these texts, whose names are `0.yaml`, `1.yaml`, and so on, without the folder. */
async function check(texts: readonly string[], ...options: readonly string[]) {
  await using world = await TestWorld.create();
  return await checkIn(world, texts, ...options);
}

async function checkIn(world: TestWorld, texts: readonly string[], ...options: readonly string[]) {
  const files = await Promise.all(texts.map((text, index) => world.write(`files/${index}.yaml`, text)));
  const code = await world.run("config", "check", ...files, ...options);
  return { code, out: world.out.replaceAll(`${join(world.root, "files")}/`, ""), err: world.err };
}

type Row = readonly [name: string, text: string, ...expected: readonly RegExp[]];

function refuses(title: string, rows: readonly Row[]): void {
  Deno.test(`config check names ${title}`, async (t) => {
    for (const [name, text, ...expected] of rows) {
      await t.step(name, async () => {
        const { code, out, err } = await check([text]);
        assert.equal(code, 1, out + err);
        for (const part of expected) assert.match(out, part);
        assert.match(err, /precondition\/documents/);
      });
    }
  });
}

refuses("what YAML does with a text", [
  ["a bomb of anchors", "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n", /nothing says what it is/],
  ["an anchor", `${TRUST}node: &n\n  name: *n\n${JOIN}`, /^0\.yaml:7: anchors and aliases are not allowed$/m],
  ["a merge key", `${TRUST}node:\n  <<: *x\n${JOIN}`, /^0\.yaml:7: .*anchors|^0\.yaml:7: Unresolved alias/m],
  ["a tab as indentation", `${TRUST}node:\n\trole: worker\n${JOIN}`, /^0\.yaml:7: it has a tab: indent with spaces$/m],
  ["a key twice", node("role: worker\n  role: worker"), /^0\.yaml:8: .*twice: "role" \(first at line 7\)$/m],
  ["a section twice", NODE + JOIN, /^0\.yaml:8: .*twice: "join" \(first at line 6\)$/m],
  [
    "yes",
    `${TRUST}evidence: {variant: none, allowInsecure: yes}\n${JOIN}`,
    /^0\.yaml:6: evidence\.allowInsecure: .*true$/m,
  ],
  ["no", `${VERSION}kubeProxy: no\n`, /^0\.yaml:2: kubeProxy: .*write false$/m],
  ["an octal number", node("name: 0o17"), /^0\.yaml:7: node\.name: .*seen 15, .*reads the text "0o17"/m],
  ["zeros before a number", node("name: 007"), /node\.name: .*seen 7, .*reads the text "007"/],
  ["a hexadecimal number", node("name: 0x1F"), /node\.name: .*seen 31, .*reads the text "0x1F"/],
  ["an exponent", node("name: 1e3"), /node\.name: .*seen 1000, .*reads the text "1e3"/],
  [
    "a version that is a number",
    "kubernetesVersion: 1.10\n",
    /kubernetesVersion: .*seen 1\.1; .*reads the text "1\.10"/,
  ],
  ["hours of a day", node("name: 12:30"), /node\.name: .*current value is "12:30"/],
  [
    "two documents",
    `${NODE}---\n${CLUSTER}`,
    /a node's configuration at line 1, a cluster document at line 8: write each/,
  ],
  ["a separator at the end of one that is broken", `${NODE}---\nx`, /several documents, .* something at line 8/],
  ["a wrong indentation", node("role: worker\n   name: a"), /^0\.yaml:7: a line is indented more than the one above/m],
  ["a colon in a text", node("name: a: b"), /^0\.yaml:7: a text with a colon and a space in it needs quotes$/m],
  ["a quote that does not end", node('name: "a'), /^0\.yaml:7: Missing closing/m],
  [
    "no space after a colon",
    `${TRUST}node:\n  role:worker\n${JOIN}`,
    /^0\.yaml:6: node: .*write a space after the colon$/m,
  ],
  ["a comment without a space", node("role: worker#x"), /did you mean "worker"\?$/m],
  ["a comma at the end", node("role: worker,"), /did you mean "worker"\?$/m],
  [
    "a Windows path in double quotes",
    TRUST.replace(KEY, '"C:\\Users\\op.pub"') + JOIN,
    /^0\.yaml:5: Invalid escape .*single quotes/m,
  ],
  ["the marks of a merge", `${TRUST}<<<<<<< HEAD\n${JOIN}=======\n>>>>>>> b\n`, /^0\.yaml:6: .*merge with conflicts$/m],
  ["CR alone", NODE.replaceAll("\n", "\r"), /its lines end with CR alone/],
]);

refuses("values that are empty, or of another form", [
  ["an empty file", "", /^0\.yaml:1: it is empty$/m],
  ["comments alone", "# nothing\n\n", /it is empty/],
  [
    "null for a text",
    node("name: ~"),
    /node\.name: expected string, seen an empty value; write a value, or leave the key out$/m,
  ],
  ["null for a choice", node("role:"), /node\.role: .*seen an empty value; write a value/],
  ["null for a mapping", `version: 1\ntrust:\nclusterName: demo\n${JOIN}`, /^0\.yaml:2: trust: .*indent the keys/m],
  ["null for a network", `${VERSION}podSubnet:\n`, /podSubnet: .*seen an empty value/],
  ["a list for a text", node("name: [a]"), /node\.name: expected string, seen a list$/m],
  ["a mapping for an endpoint", endpoint("host: a\n      port: 1"), /endpoints\[0\]: .*seen a mapping$/m],
  ["a text for a mapping", `${TRUST}node: worker\n${JOIN}`, /node: expected a mapping, seen "worker"$/m],
  ["a list for a mapping", `${TRUST}node: [{role: worker}]\n${JOIN}`, /node: expected a mapping, seen a list$/m],
  ["a text for a list", `${TRUST}join:\n  endpoints: a:1\n`, /endpoints: expected a list, .*write a list: - "a:1"$/m],
  ["entries with commas for a list", `${TRUST}join:\n  endpoints: a:1, b:2\n`, /an entry on each line, after "- "$/m],
  ["a number for a truth value", `${TRUST}allowUnmeasuredImage: 1\n${JOIN}`, /seen 1, a number; write true$/m],
  ["a text for a truth value", `${TRUST}allowUnmeasuredImage: "true"\n${JOIN}`, /write true without quotes$/m],
  ["a number for a duration", `${VERSION}timeouts: {discovery: 5}\n`, /timeouts\.discovery: must be a duration/],
  ["days", `${VERSION}nodeCertificateLifetime: 7d\n`, /^0\.yaml:2: nodeCertificateLifetime: .*seen "7d"$/m],
  ["a number as an address", node("address: 167772161"), /node\.address: expected an IP address, seen 167772161$/m],
]);

refuses("keys in wrong letters and wrong places", [
  ["a capital", `${TRUST}Node:\n  role: worker\n${JOIN}`, /^0\.yaml:6: Node: is no key here; .*"node"$/m],
  ["a capital further down", node("Role: worker"), /node\.Role: is no key here; .*"role"$/m],
  ["capitals of a value", "version: 1\nvariant: TPM\n", /variant: .*did you mean "tpm"\?/],
  [
    "a key one level too high",
    `${TRUST}role: worker\n${JOIN}`,
    /^0\.yaml:6: role: is no key here; it belongs under node$/m,
  ],
  [
    "all keys one level too high",
    `version: 1\nclusterName: demo\noperatorKeys: []\n${JOIN}`,
    /operatorKeys: .*under trust$/m,
  ],
  [
    "a key one level too low",
    `${TRUST}  join:\n    endpoints: []\n`,
    /trust\.join: .*belongs at the top of the document$/m,
  ],
  ["a key in another mapping", node("ekType: rsa2048"), /node\.ekType: .*belongs under evidence$/m],
  ["a key of the policy's roles", `${POLICY}controlPlanes: []\n`, /controlPlanes: .*belongs under roles$/m],
  ["a timeout at the top", `${VERSION}discovery: 5m\n`, /discovery: .*belongs under timeouts$/m],
  ["kubeadm's place of networks", `${VERSION}networking: {}\n`, /networking: .*stand at the top$/m],
  ["an unknown key", `${TRUST}colour: red\n${JOIN}`, /colour: is no key here; the keys here are version, trust/],
]);

refuses("what was not filled in, and what is not seen", [
  ["a shell's variable", node("role: ${ROLE}"), /node\.role: .*a variable was not filled in$/m],
  [
    "a shell's variable without braces",
    `${TRUST}allowUnmeasuredImage: $ALLOW\n${JOIN}`,
    /a variable was not filled in$/m,
  ],
  ["a variable in a list", endpoint('"${CP}:9444"'), /endpoints\[0\]: a variable was not filled in/],
  ["Jinja", node("name: {{ name }}"), /^0\.yaml:7: a variable was not filled in$/m],
  ["Jinja in quotes", node('name: "{{ name }}"'), /node\.name: .*a variable was not filled in/],
  ["a loop of Jinja", `{% for n in nodes %}\n${NODE}{% endfor %}\n`, /^0\.yaml:1: a variable was not filled in$/m],
  ["a placeholder", node("name: <node-name>"), /node\.name: .*a variable was not filled in/],
  ["a variable of Windows", node("name: '%COMPUTERNAME%'"), /node\.name: .*a variable was not filled in/],
  ["a no-break space after a colon", node("role:\u00a0worker"), /a no-break space \(U\+00A0\)$/m],
  ["a no-break space at an end", node("role: worker\u00a0"), /node\.role: .*character 7 is a no-break space/],
  [
    "no-break spaces as indentation",
    `${TRUST}node:\n\u00a0\u00a0role: worker\n${JOIN}`,
    /character 1 is a no-break space/,
  ],
  ["a zero-width space in a key", node("ro\u200ble: worker"), /character 3 is a zero-width space \(U\+200B\)$/m],
  ["a zero-width space in a value", node("name: node\u200b-1"), /character 5 is a zero-width space/],
  ["a Cyrillic letter", node("name: n\u043ede-1"), /character 2 is "\u043e", which is no ASCII \(U\+043E\)$/m],
  ["curly quotes", endpoint("\u201c10.77.0.11:9444\u201d"), /character 1 is a curly quote \(U\+201C\)$/m],
  ["a dash", node("role: control\u2013plane"), /character 8 is a dash \(U\+2013\)$/m],
  ["full-width digits", endpoint("10.77.0.11:\uff19444"), /character 12 is "\uff19", which is no ASCII/],
]);

refuses("names, addresses, ports and networks that cannot be", [
  ["a final dot", node("name: node-1."), /leave out the final dot: write node-1$/m],
  ["a port too high", endpoint("10.77.0.11:65536"), /endpoints\[0\]: the port must be from 1 to 65535/],
  ["port 0", endpoint("10.77.0.11:0"), /endpoints\[0\]: the port must be from 1 to 65535/],
  ["IPv4 in IPv6", node('address: "::ffff:10.77.0.21"'), /node\.address: write the IPv4 address itself, 10\.77\.0\.21/],
  ["a network of IPv4 in IPv6", node('addressFrom: "::ffff:10.77.0.0/120"'), /write the IPv4 network itself/],
  ["a zone", node('address: "fe80::1%eth0"'), /leave out the zone/],
  ["zeros in an address", node("address: 10.77.0.021"), /leave out the zeros at the beginning of 021$/m],
  ["a loopback network", node("addressFrom: 127.0.0.0/8"), /^0\.yaml:7: node\.addressFrom: .*it is loopback$/m],
  [
    "one endpoint in two spellings",
    endpoint('"[fd00::1]:9444"\n    - "[fd00:0::1]:9444"'),
    /^0\.yaml:9: join\.endpoints\[1\]: it is the same endpoint as join\.endpoints\[0\]$/m,
  ],
  [
    "letters of another language in a name",
    endpoint("bücher.example:9444"),
    /ASCII form: xn--bcher-kva\.example:9444$/m,
  ],
  [
    "networks that overlap",
    `${CLUSTER}serviceSubnet: 10.244.0.0/20\n`,
    /^0\.yaml:2: podSubnet: 10\.244\.0\.0\/16 overlaps/m,
  ],
  ["a path of Windows", `${POLICY}collateral: {folder: 'C:\\x'}\n`, /collateral\.folder: must be an absolute path/],
]);

refuses("files of other kinds", [
  [
    "cloud-config",
    "#cloud-config\nhostname: a\n",
    /^0\.yaml:1: this is a cloud-config; expected is a node's configuration or/m,
  ],
  [
    "kubeadm's document of an earlier version",
    "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n",
    /this is kubeadm's document ClusterConfiguration \(v1beta3, which `kubeadm config migrate` brings up to date\)/,
  ],
  ["a kubeconfig", "apiVersion: v1\nkind: Config\nclusters: []\n", /this is a kubeconfig/],
  ["a Kubernetes object", "apiVersion: v1\nkind: Pod\n", /this is the Kubernetes object Pod/],
  ["an HTML page", "<!DOCTYPE html>\n<html></html>\n", /this is an HTML page/],
  ["TOML", '[trust]\nclusterName = "demo"\n', /this is a TOML or INI file/],
  [
    "a pointer of Git LFS",
    "version https://git-lfs.github.com/spec/v1\noid sha256:aa\n",
    /this is a pointer of Git LFS/,
  ],
  ["Ansible Vault", "$ANSIBLE_VAULT;1.1;AES256\n6162\n", /Ansible Vault encrypted/],
  ["sops", `${NODE}sops: {}\n`, /sops encrypted/],
  ["a netplan document", "network: {version: 2}\n", /this is a netplan document/],
  ["a script", "#!/bin/sh\n", /this is a script/],
  ["an evidence file", "kind: bootstrapper evidence\n", /this is an evidence file/],
  ["something", "a: 1\n", /nothing says what it is; .*: --kind says which one/],
  ["a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", /this is a PEM file/],
  ["an RSA key", "ssh-rsa AAAA me\n", /^0\.yaml:1: .*must be Ed25519/m],
]);

Deno.test("config check takes what is right, in every form of file, and says what each is", async () => {
  const configMap = `apiVersion: v1\nkind: ConfigMap\ndata:\n  policy.yaml: |\n    ${
    POLICY.replaceAll("\n", "\n    ")
  }\n`;
  const rows: readonly (readonly [text: string, title: string])[] = [
    [NODE, "a node's configuration"],
    [`\ufeff${NODE.replaceAll("\n", "\r\n")}`, "a node's configuration"],
    [`---\n${NODE}...\n`, "a node's configuration"],
    [
      JSON.stringify({ version: 1, trust: { clusterName: "demo", operatorKeys: [KEY] }, init: {} }),
      "a node's configuration",
    ],
    [CLUSTER, "a cluster document"],
    [POLICY, "a policy"],
    [configMap, "a policy in a ConfigMap"],
    [`${KEY}\n`, "an operator's public key"],
    [`${TOKEN_KEY}\n`, "a token key"],
  ];
  for (const [text, title] of rows) {
    const { code, out, err } = await check([text]);
    assert.equal(code, 0, out + err);
    assert.ok(out.includes(`0.yaml: ${title}, without problems\n`), out);
  }
});

Deno.test("config check names all problems of all files, and goes on after one that cannot be read", async () => {
  await using world = await TestWorld.create();
  const first = await world.write("a.yaml", `${TRUST.replace("demo", "Demo")}node: {role: boss, adress: 1}\n${JOIN}`);
  const second = await world.write("b.yaml", "kubernetesVersion: stable\npodSubnet: x\n");
  assert.equal(await world.run("config", "check", first, join(world.root, "none"), world.root, second), 1);
  const lines = world.out.trimEnd().split("\n");
  const starts = [
    `${first}:3: trust.clusterName: `,
    `${first}:6: node.role: `,
    `${first}:6: node.adress: `,
    `${world.root}/none: Cannot read`,
    `${world.root}: it is a folder`,
    `${second}:1: kubernetesVersion: `,
    `${second}:2: podSubnet: `,
  ];
  starts.forEach((start, index) => assert.ok(lines[index]?.startsWith(start), `${lines[index]}, not ${start}`));
  assert.equal(lines.length, starts.length);
  assert.match(world.err, /7 problems in 4 of 4 files/);
});

Deno.test("config check prints JSON for programs", async () => {
  const { code, out } = await check([node("role: boss"), POLICY], "--output", "json");
  assert.equal(code, 1);
  const [result, failure] = out.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(result, {
    files: [
      {
        file: "0.yaml",
        document: "a node's configuration",
        problems: [{ line: 7, key: "node.role", message: '"boss" is none of worker, control-plane' }],
        remarks: [],
      },
      { file: "1.yaml", document: "a policy", problems: [], remarks: [] },
    ],
    problems: 1,
    kubeadm: "not run",
  });
  assert.equal(failure.error.code, "precondition/documents");
});

Deno.test("config check reads standard input, and takes --kind at its word", async () => {
  await using world = await TestWorld.create({ input: VERSION });
  assert.equal(await world.run("config", "check", "-", "--no-kubeadm"), 0, world.err);
  assert.match(world.out, /^standard input:1: remark: podSubnet is not set/);
  assert.equal(await world.run("config", "check", "--kind", "policy", "-"), 1);
  assert.match(world.out, /this is a cluster document; a policy is expected/);
  assert.equal(await world.run("config", "check", "--kind", "Policy", "-"), 2);
  assert.equal(await world.run("config", "check"), 2);
});

Deno.test("config check refuses texts in UTF-16, bytes, and files that are too large", async () => {
  await using world = await TestWorld.create();
  const path = join(world.root, "file");
  const bytes = (text: string, start: readonly number[]) =>
    Uint8Array.from([...start, ...[...text].flatMap((letter) => [letter.charCodeAt(0), 0])]);
  const rows: readonly (readonly [bytes: Uint8Array, message: RegExp])[] = [
    [bytes(NODE, [0xff, 0xfe]), /:1: it is a text in UTF-16: save it in UTF-8/],
    [bytes(NODE, []), /:1: it is a text in UTF-16/],
    [Uint8Array.of(0x1f, 0x8b, 8, 0, 255), /:1: it is not a text in UTF-8/],
    [new Uint8Array(70_000).fill(0x23), /larger than 65536 bytes/],
  ];
  for (const [content, message] of rows) {
    await Deno.writeFile(path, content);
    assert.equal(await world.run("config", "check", path), 1);
    assert.match(world.out, message);
  }
});

Deno.test("config check shows no secret", async () => {
  for (const secret of ["bft1-qqqqsecretqqqq", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"]) {
    const { code, out, err } = await check([`${secret}\n`]);
    assert.equal(code, 1);
    assert.match(out, /this is a secret/);
    assert.doesNotMatch(out + err, /qqqq|c2Vj/);
  }
});

Deno.test("config check places the problems of a policy in a ConfigMap", async () => {
  const text = "apiVersion: v1\nkind: ConfigMap\ndata:\n  policy.yaml: |\n    version: 1\n    variant: tpm2\n";
  assert.match((await check([text])).out, /^0\.yaml:6: variant: "tpm2" is none of/m);
});

Deno.test("config check compares nodes with each other", async () => {
  const named = (text: string) => node(`${text}`);
  const rows: readonly (readonly [texts: readonly string[], found: RegExp])[] = [
    [[named("name: a"), named("name: a")], /^1\.yaml:7: node\.name: .*0\.yaml has the same name/m],
    [
      [named("address: 10.77.0.21"), named("address: 10.77.0.21")],
      /^1\.yaml:7: node\.address: .*has the same address/m,
    ],
    [
      [named('address: "fd00::21"'), named('address: "fd00:0::21"')],
      /^1\.yaml:7: node\.address: .*has the same address fd00:0::21/m,
    ],
  ];
  for (const [texts, found] of rows) {
    const { code, out } = await check(texts);
    assert.equal(code, 1, out);
    assert.match(out, found);
  }
  const other = (text: string) => text.replace("clusterName: demo", "clusterName: other");
  assert.equal((await check([named("name: a"), other(named("name: a"))])).code, 0);
  const withId = (digit: string) => NODE.replace("join:", `  clusterId: "sha256:${digit.repeat(64)}"\njoin:`);
  const { code, out } = await check([withId("1"), withId("2")]);
  assert.equal(code, 0, out);
  assert.match(out, /^1\.yaml:6: remark: trust\.clusterId: .*0\.yaml has another one/m);
});

Deno.test("config check says that a worker looks for its join service at its own address", async () => {
  const { code, out } = await check([node("address: 10.77.0.11")]);
  assert.equal(code, 0);
  assert.match(out, /^0\.yaml:9: remark: join\.endpoints\[0\]: it is this node's own address/m);
});

Deno.test("config check finds in the settings of a founder what no new cluster may have", async () => {
  const founder = (settings: string) =>
    `version: 1\ntrust:\n  clusterName: demo\n  operatorKeys: []\n  founding: {size: 1, tokenKey: "${TOKEN_KEY}"}\n` +
    `evidence: {variant: none, allowInsecure: true}\nfounding:\n  peers: ["10.77.0.11"]\n  cluster:\n    ${settings}\n`;
  const rows: readonly (readonly [settings: string, found: RegExp])[] = [
    ["kubernetesVersion: v1.30.0", /^0\.yaml:10: founding\.cluster\.kubernetesVersion: v1\.30\.0 is too old/m],
    [
      "kubernetesVersion: v1.36.3\n    podSubnet: 10.96.0.0/16",
      /^0\.yaml:11: founding\.cluster\.podSubnet: 10\.96\.0\.0\/16 overlaps the default serviceSubnet/m,
    ],
  ];
  for (const [settings, found] of rows) {
    const { code, out } = await check([founder(settings)]);
    assert.equal(code, 1, out);
    assert.match(out, found);
  }
  assert.equal((await check([founder("kubernetesVersion: v1.36.3")])).code, 0);
});

Deno.test("config check compares nodes with one cluster document", async () => {
  const rows: readonly (readonly [node: string, cluster: string, found: RegExp])[] = [
    [node("address: 10.244.3.4"), CLUSTER, /^0\.yaml:7: node\.address: .*in podSubnet 10\.244\.0\.0\/16/m],
    [node('address: "fd00::1"'), CLUSTER, /^0\.yaml:7: node\.address: .*is IPv6, and serviceSubnet/m],
    [
      node("addressFrom: 10.96.4.0/24"),
      CLUSTER,
      /^0\.yaml:7: node\.addressFrom: it overlaps the network of the Services/m,
    ],
    [endpoint("10.244.0.1:9444"), CLUSTER, /^0\.yaml:8: join\.endpoints\[0\]: it is in the network of the Pods/m],
    [
      node("address: 10.77.0.5"),
      `${CLUSTER}controlPlaneEndpoint: 10.77.0.5:6443\n`,
      /^0\.yaml:7: node\.address: it is the controlPlaneEndpoint of .*1\.yaml, and this node is a worker/m,
    ],
  ];
  for (const [own, cluster, found] of rows) {
    const { code, out } = await check([own, cluster]);
    assert.equal(code, 1, out);
    assert.match(out, found);
  }
  assert.equal((await check([node("address: 10.77.0.5"), CLUSTER])).code, 0);
});

Deno.test("config check compares nodes with one policy", async () => {
  const none = (text: string) => `${node(text)}evidence: {variant: none, allowInsecure: true}\n`;
  const first = await check([node("name: worker-1"), POLICY]);
  assert.match(first.out, /^0\.yaml:1: evidence\.variant: the policy .*1\.yaml wants none, and this node shows tpm$/m);
  const second = await check([`${none("name: cp-1")}allowUnmeasuredImage: true\n`, POLICY]);
  assert.match(second.out, /^0\.yaml:7: node\.name: no pattern in names of the policy .*1\.yaml allows cp-1$/m);
  assert.match(second.out, /^0\.yaml:11: allowUnmeasuredImage: the policy .* does not allow it$/m);
  assert.equal((await check([none("name: worker-1"), POLICY])).code, 0);
});

/** A kubeadm that answers each call with an exit code and a text, and keeps what it was given. */
function kubeadmThat(
  answer: (argv: readonly string[]) => readonly [code: number, output: string],
  seen: string[] = [],
) {
  return {
    async run(argv: readonly [string, ...string[]]) {
      const [program, ...args] = argv;
      if (program !== "kubeadm") throw new BootstrapError("system/command", `Cannot start ${program}`);
      const path = args.at(-1)?.replace("--config=", "") ?? "";
      seen.push(await Deno.readTextFile(path));
      const [code, output] = answer(args);
      return { code, stdout: "", stderr: output };
    },
  } satisfies CommandRunner;
}

Deno.test("config check has kubeadm read cluster documents where it is installed, and leaves nothing behind", async () => {
  const seen: string[] = [];
  const runner = kubeadmThat(
    () => [1, "error: invalid: x\nTo see the stack trace of this error execute with --v=5\n"],
    seen,
  );
  await using world = await TestWorld.create({ runner });
  const { code, out } = await checkIn(world, [CLUSTER, POLICY]);
  assert.equal(code, 1);
  assert.match(out, /^0\.yaml:1: kubeadm refuses it: invalid: x$/m);
  assert.match(
    seen[0] ?? "",
    /kind: InitConfiguration[^]*kubernetesVersion: v1\.36\.3[^]*podSubnet: 10\.244\.0\.0\/16/,
  );
  assert.equal((await checkIn(world, [CLUSTER], "--no-kubeadm")).code, 0);
  assert.equal(seen.length, 1);
  await using without = await TestWorld.create();
  assert.match((await checkIn(without, [CLUSTER])).out, /^kubeadm: it is not on this machine/m);
});

Deno.test("config check --preflight checks the machine as root, for a cluster document or a node", async () => {
  const runner = kubeadmThat(([verb]) =>
    verb === "init" ? [1, "[preflight] Some fatal errors occurred:\n\t[ERROR Swap]: swap is on\n"] : [0, "ok"]
  );
  await using world = await TestWorld.create({ runner });
  await world.write("etc/kubernetes/kubelet.conf", "x");
  const { code, out } = await checkIn(
    world,
    [CLUSTER, node("address: 10.77.0.11\n  role: control-plane")],
    "--preflight",
  );
  assert.equal(code, 1);
  assert.match(out, /^0\.yaml:1: on this machine: Swap: swap is on$/m);
  assert.match(out, /^this machine:1: on this machine: leftovers: .*kubelet\.conf is left from an earlier cluster$/m);
  assert.equal((await checkIn(world, [POLICY], "--preflight")).code, 2);
  await using other = await TestWorld.create({ isRoot: false });
  assert.match((await checkIn(other, [CLUSTER], "--preflight", "--no-kubeadm")).err, /precondition\/root/);
});

Deno.test("config check keeps no more permissions than it needs", async () => {
  await using world = await TestWorld.create();
  await checkIn(world, [NODE], "--no-kubeadm");
  assert.deepEqual(world.kept, ["env", "read"]);
});
