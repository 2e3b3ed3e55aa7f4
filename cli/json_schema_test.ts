/** JSON Schemas: editors take what the readers take, and refuse what a schema can tell. */
import assert from "node:assert/strict";
import { Ajv } from "ajv";
import { KINDS } from "../attestation/kinds.ts";
import { DOCUMENT_KINDS } from "../platform/document_kinds.ts";
import type { DocumentKind } from "../platform/document_kinds.ts";
import { readYaml } from "../platform/yaml.ts";
import { jsonSchemaOf } from "./json_schema.ts";
import type { JsonSchema } from "./json_schema.ts";
import { TestWorld } from "./testing/command_line.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJQerGpWlI80JcEic8Yna9LIKtBoKILqft3+7VpvjUyh bootstrapper operator";
const TOKEN_KEY = "MCowBQYDK2VwAyEAdokxxrIYPcC40agef3vBTKX8SusnP8Hhc0Xg5BF/kEA=";
const ajv = new Ajv({ strict: true, allowUnionTypes: true, allErrors: true, validateFormats: false });
const schemas = new Map<DocumentKind, JsonSchema>();
for (const kind of DOCUMENT_KINDS) schemas.set(kind, await jsonSchemaOf(kind, KINDS));
const validators = new Map([...schemas].map(([kind, schema]) => [kind, ajv.compile(schema)]));

/** The places at which a schema refuses a document, such as `/node/role`. */
function refusedAt(kind: DocumentKind, text: string): readonly string[] {
  const validate = validators.get(kind);
  assert.ok(validate !== undefined);
  if (validate(readYaml(text))) return [];
  return (validate.errors ?? []).map(({ instancePath, params }) =>
    `${instancePath}/${params["additionalProperty"] ?? params["missingProperty"] ?? ""}`.replace(/\/$/, "")
  );
}

const deploy = new URL("../deploy/", import.meta.url);
const examples = (await Array.fromAsync(Deno.readDir(deploy))).map(({ name }) => name)
  .filter((name) => name.endsWith(".example.yaml"));

Deno.test("every example in deploy/ satisfies the schema that its first line names", async () => {
  assert.ok(examples.length >= 8);
  for (const name of examples) {
    const text = await Deno.readTextFile(new URL(name, deploy));
    const [, kind = ""] = /^# yaml-language-server: \$schema=schemas\/(\w+)\.json\n/.exec(text) ?? [];
    assert.ok(await Deno.stat(new URL(`schemas/${kind}.json`, deploy)), name);
    assert.ok(name.startsWith(kind), `${name}: ${kind}`);
    assert.deepEqual(refusedAt(DOCUMENT_KINDS.find((one) => one === kind) ?? "node", text), [], name);
  }
});

/** What `config new` writes, with its options. */
const NEW: readonly (readonly [kind: DocumentKind, ...args: readonly string[]])[] = [
  ["node", "--role", "control-plane", "--name", "demo", "--operator-key", KEY],
  [
    "node",
    "--role",
    "control-plane",
    "--name",
    "demo",
    "--operator-key",
    KEY,
    "--endpoint",
    "cp:9444",
    "[fd00::1]:9444",
  ],
  ["node", "--role", "worker", "--name", "demo", "--operator-key", KEY, "--endpoint", "10.77.0.11:9444"],
  ["node", "--role", "worker", "--name", "no", "--operator-key", KEY, "--endpoint", "a:1", "--variant", "tpm", "snp"],
  ["node", "--role", "worker", "--name", "demo", "--operator-key", KEY, "--endpoint", "a:1", "--variant", "none"],
  ["node", "--role", "worker", "--name", "demo", "--cluster-id", `sha256:${"4f".repeat(32)}`, "--endpoint", "a:1"],
  ["node", "--role", "founder", "--name", "demo", "--token-key", TOKEN_KEY, "--endpoint", "10.77.0.11", "b", "c:9443"],
  ["cluster", "--role", "cluster"],
  ["cluster", "--role", "cluster", "--endpoint", "k8s.example.org:6443", "--kubernetes-version", "v1.35.0"],
  [
    ...["cluster", "--role", "cluster", "--pod-subnet", "10.244.0.0/16,fd00:244::/56"] as const,
    ...["--service-subnet", "10.96.0.0/16,fd00:96::/112"],
  ],
];

Deno.test("everything that config new writes satisfies its schema, and config check finds nothing", async () => {
  for (const [kind, ...args] of NEW) {
    await using world = await TestWorld.create();
    assert.equal(await world.run("config", "new", ...args), 0, world.err);
    assert.deepEqual(refusedAt(kind, world.out), [], world.out);
    const file = await world.write("new.yaml", world.out);
    assert.equal(await world.run("config", "check", file), 0, world.out);
  }
});

const NODE =
  `version: 1\ntrust:\n  clusterName: demo\n  operatorKeys:\n    - ${KEY}\njoin:\n  endpoints: ["10.77.0.11:9444"]\n`;
const VERSION = "kubernetesVersion: v1.36.3\n";

Deno.test("a schema refuses what it can tell, at the key that is wrong", () => {
  const rows: readonly (readonly [kind: DocumentKind, text: string, place: string])[] = [
    ["node", NODE.replace("version: 1", 'version: "1"'), "/version"],
    ["node", NODE.replace("version: 1\n", ""), "/version"],
    ["node", NODE.replace("demo", "prod.example.org"), "/trust/clusterName"],
    ["node", NODE.replace(KEY, "/root/operator.pub"), "/trust/operatorKeys/0"],
    ["node", NODE.replace(KEY, "ssh-rsa AAAA me"), "/trust/operatorKeys/0"],
    ["node", NODE.replace("operatorKeys", "operatorKey"), "/trust/operatorKey"],
    ["node", NODE.replace('["10.77.0.11:9444"]', "10.77.0.11:9444"), "/join/endpoints"],
    ["node", NODE.replace("10.77.0.11:9444", "https://10.77.0.11:9444"), "/join/endpoints/0"],
    ["node", NODE.replace("10.77.0.11:9444", "10.77.0.11"), "/join/endpoints/0"],
    ["node", NODE.replace("10.77.0.11:9444", "${CP}:9444"), "/join/endpoints/0"],
    ["node", `${NODE}node: {role: controlplane}\n`, "/node/role"],
    ["node", `${NODE}node: {adress: 10.77.0.21}\n`, "/node/adress"],
    ["node", `${NODE}node: {name: 01}\n`, "/node/name"],
    ["node", `${NODE}node: {name: node_1}\n`, "/node/name"],
    ["node", `${NODE}node: {address: 10.77.0.21/24}\n`, "/node/address"],
    ["node", `${NODE}node: {address: [10.77.0.21]}\n`, "/node/address"],
    ["node", `${NODE}node: {addressFrom: 10.77.0.0}\n`, "/node/addressFrom"],
    ["node", `${NODE}node:\n`, "/node"],
    ["node", `${NODE}evidence: {variant: tpm2}\n`, "/evidence/variant"],
    ["node", `${NODE}evidence: {allowInsecure: yes}\n`, "/evidence/allowInsecure"],
    ["node", `${NODE}init: {listen: 9443}\n`, "/init/listen"],
    ["node", `${NODE}role: worker\n`, "/role"],
    ["cluster", "podSubnet: 10.244.0.0/16\n", "/kubernetesVersion"],
    ["cluster", "kubernetesVersion: 1.36.3\n", "/kubernetesVersion"],
    ["cluster", "kubernetesVersion: stable-1\n", "/kubernetesVersion"],
    ["cluster", `${VERSION}podSubnet: 10.244.0.0\n`, "/podSubnet"],
    ["cluster", `${VERSION}podCIDR: 10.244.0.0/16\n`, "/podCIDR"],
    ["cluster", `${VERSION}coreDns: "false"\n`, "/coreDns"],
    ["cluster", `${VERSION}timeouts: {discovery: 5 minutes}\n`, "/timeouts/discovery"],
    ["cluster", `${VERSION}etcd: {heartbeatIntervalMs: 0, electionTimeoutMs: 60000}\n`, "/etcd/electionTimeoutMs"],
    ["policy", "version: 1\nvariant: tpm2\n", "/variant"],
    ["policy", "version: 1\nvariant: none\nroles: [a]\n", "/roles"],
    ["policy", "version: 1\nvariant: none\nbannedIdentities: [abc]\n", "/bannedIdentities/0"],
    ["policy", "version: 1\nvariant: none\ncollateral: {folder: collateral}\n", "/collateral/folder"],
  ];
  for (const [kind, text, place] of rows) {
    assert.ok(refusedAt(kind, text).includes(place), `${place}: ${refusedAt(kind, text).join()}`);
  }
});

Deno.test("a schema takes every spelling that the reader takes", () => {
  const texts: readonly (readonly [kind: DocumentKind, text: string])[] = [
    ["node", NODE.replace("10.77.0.11", "CP.Example.org")],
    ["node", NODE.replace("10.77.0.11", "[fd00:77::11]")],
    ["node", NODE.replace(KEY, "|\n      -----BEGIN PUBLIC KEY-----\n      AAAA\n      -----END PUBLIC KEY-----")],
    ["node", NODE.replace(KEY, `${KEY} ключ`)],
    ["node", `${NODE}node: {name: node-1.example.org, address: "10.77.0.21,fd00:77::21"}\n`],
    ["node", `${NODE}node: {addressFrom: "10.77.0.0/24,fd00:77::/64"}\n`],
    ["node", `${NODE}evidence: {variant: [tpm, snp]}\n`],
    ["node", `${NODE}init: {listen: "[::]:9443"}\n`],
    ["cluster", `${VERSION}timeouts: {discovery: 1h30m}\nnodeCertificateLifetime: 4m0s\n`],
    ["cluster", `${VERSION}controlPlaneEndpoint: K8S.Example.org:6443\n`],
    ["policy", "version: 1\nvariant: {node: none, init: none}\n"],
    ["policy", `version: 1\nvariant: none\nbannedIdentities: ["${"Ab".repeat(32)}"]\n`],
  ];
  for (const [kind, text] of texts) assert.deepEqual(refusedAt(kind, text), [], text);
});

/** The keys without a description, except in the values of lists and maps that have one. */
function undescribed(schema: unknown, path: readonly string[] = []): readonly string[] {
  if (typeof schema !== "object" || schema === null) return [];
  const properties: unknown = Reflect.get(schema, "properties");
  if (typeof properties !== "object" || properties === null) return [];
  return Object.entries(properties as JsonSchema).flatMap(([key, value]) => {
    const own = [...path, key];
    const isDescribed = typeof value === "object" && value !== null && "description" in value;
    return isDescribed ? undescribed(value, own) : [own.join(".")];
  });
}

Deno.test("every key of a schema has a description, but for those whose mapping explains them", () => {
  const explained =
    /^(?:trust\.founding\.policy\.)?(?:snp\.products\.|(?:snp|tdx)\.\w+\.(?:required|forbidden|allowed)$)/;
  for (const kind of DOCUMENT_KINDS) {
    assert.deepEqual(undescribed(schemas.get(kind)).filter((key) => !explained.test(key)), [], kind);
  }
});

Deno.test("config schema prints the schema of a kind, and names the kinds", async () => {
  await using world = await TestWorld.create();
  assert.equal(await world.run("config", "schema", "node"), 0);
  assert.deepEqual(JSON.parse(world.out), JSON.parse(JSON.stringify(schemas.get("node"))));
  assert.equal(await world.run("config", "schema", "nod"), 2);
  assert.match(world.err, /node, cluster, policy/);
});
