/** `config new`: what it writes is taken by the readers, and says what was asked for. */
import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { KINDS } from "../../attestation/kinds.ts";
import { readClusterSettings } from "../../kubernetes/settings.ts";
import { readNewNodeConfiguration } from "../../node/configuration.ts";
import { isLabel } from "../../platform/label.ts";
import { readYaml } from "../../platform/yaml.ts";
import { canonicalJson } from "../../protocol/canonical_json.ts";
import { newDocument } from "../programs/new_documents.ts";
import { TestWorld } from "../testing/command_line.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJQerGpWlI80JcEic8Yna9LIKtBoKILqft3+7VpvjUyh bootstrapper operator";
const PEM =
  "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAdokxxrIYPcC40agef3vBTKX8SusnP8Hhc0Xg5BF/kEA=\n-----END PUBLIC KEY-----\n";
const TOKEN_KEY = "MCowBQYDK2VwAyEAdokxxrIYPcC40agef3vBTKX8SusnP8Hhc0Xg5BF/kEA=";

Deno.test("config new writes a file for each role, and each says what was asked for", async () => {
  await using world = await TestWorld.create();
  const key = await world.write("operator.pub", `${KEY}\n`);
  const pem = await world.write("second.pem", PEM);
  const file = (name: string) => join(world.root, name);
  const common = ["--name", "prod", "--operator-key", key, pem];
  assert.equal(
    await world.run("config", "new", "--role", "control-plane", ...common, "--out", file("cp.yaml")),
    0,
    world.err,
  );
  assert.equal(world.out, `Wrote ${file("cp.yaml")}.\n`);
  const first = readNewNodeConfiguration(await Deno.readTextFile(file("cp.yaml")), "it");
  assert.deepEqual([first.trust.clusterName, first.trust.operatorKeys.length], ["prod", 2]);
  assert.deepEqual([first.node.role, first.init.enabled], ["control-plane", true]);
  const id = `sha256:${"4f".repeat(32)}`;
  const worker = ["--role", "worker", "--cluster-id", id, "--endpoint", "10.77.0.11:9444", "cp-2:9444"];
  assert.equal(await world.run("config", "new", ...worker, ...common), 0, world.err);
  const second = readNewNodeConfiguration(world.out, "it");
  assert.deepEqual([second.node.role, second.init.enabled, second.join.endpoints.length], ["worker", false, 2]);
  assert.equal(second.trust.clusterId.length, 32);
  const cluster = ["--role", "cluster", "--endpoint", "k8s.example.org:6443", "--kubernetes-version", "v1.35.2"];
  assert.equal(await world.run("config", "new", ...cluster, "--schema", "cluster.json"), 0, world.err);
  assert.ok(world.out.startsWith("# yaml-language-server: $schema=cluster.json\n"));
  const { controlPlaneEndpoint, kubernetesVersion, podSubnet } = readClusterSettings(world.out);
  assert.deepEqual([controlPlaneEndpoint, kubernetesVersion, podSubnet], [
    "k8s.example.org:6443",
    "v1.35.2",
    "10.244.0.0/16",
  ]);
});

Deno.test("config new writes founders by a token, and by a policy that is measured as it was written", async () => {
  await using world = await TestWorld.create();
  const founders = ["--role", "founder", "--name", "demo", "--endpoint", "10.77.0.11", "10.77.0.12", "10.77.0.13"];
  assert.equal(await world.run("config", "new", ...founders, "--token-key", TOKEN_KEY), 0, world.err);
  const byToken = readNewNodeConfiguration(world.out, "it");
  assert.deepEqual([byToken.trust.founding?.size, byToken.evidence.kinds.map(({ name }) => name)], [3, ["none"]]);
  const example = new URL("../../deploy/policy.example.yaml", import.meta.url);
  const text = await Deno.readTextFile(example);
  const policy = await world.write("policy.yaml", text);
  assert.equal(await world.run("config", "new", ...founders, "--policy", policy), 0, world.err);
  const byPolicy = readNewNodeConfiguration(world.out, "it");
  assert.equal(byPolicy.foundingPolicy?.document, canonicalJson(readYaml(text), "it"));
  assert.deepEqual(byPolicy.evidence.kinds.map(({ name }) => name), ["tpm"]);
});

Deno.test("config new asks at a terminal for what is missing, and for nothing else", async () => {
  await using world = await TestWorld.create({ answers: ["worker", "demo", KEY, "10.77.0.11:9444, cp-2:9444"] });
  assert.equal(await world.run("config", "new"), 0, world.err);
  assert.equal(readNewNodeConfiguration(world.out, "it").join.endpoints.length, 2);
  await using other = await TestWorld.create({ answers: ["demo"] });
  assert.equal(await other.run("config", "new", "--role", "control-plane", "--operator-key", KEY), 0, other.err);
  assert.equal(readNewNodeConfiguration(other.out, "it").trust.clusterName, "demo");
  await using wrong = await TestWorld.create({ answers: ["master"] });
  assert.equal(await wrong.run("config", "new"), 2);
  assert.match(wrong.err, /--role: "master" is none of control-plane, worker, founder, cluster/);
});

Deno.test("config new names all that is missing where nobody can be asked", async () => {
  await using world = await TestWorld.create();
  assert.equal(await world.run("config", "new", "--role", "worker"), 2);
  assert.match(world.err, /without --name, --operator-key, --endpoint, and there is no terminal/);
  assert.match(world.err, /usage\/missing-mandatory-option-value/);
  assert.equal(await world.run("config", "new", "--role", "founder", "--name", "a"), 2);
  assert.match(world.err, /without --endpoint, --token-key \(or --policy\),/);
  assert.equal(await world.run("config", "new"), 2);
  assert.match(world.err, /without --role,/);
});

Deno.test("config new never overwrites a file, and writes none for wrong options, which it names", async () => {
  await using world = await TestWorld.create();
  const file = await world.write("a.yaml", "mine");
  assert.equal(await world.run("config", "new", "--role", "cluster", "--out", file), 1);
  assert.match(world.err, /precondition\/file-exists/);
  assert.equal(await Deno.readTextFile(file), "mine");
  const out = join(world.root, "b.yaml");
  const node = ["--role", "worker", "--operator-key", KEY];
  const rows: readonly (readonly [args: readonly string[], said: RegExp])[] = [
    [[...node, "--name", "Demo", "--endpoint", "a:1"], /--name: it must be an RFC 1123 label.*write demo/],
    [
      [...node, "--name", "demo", "--endpoint", "10.77.0.11"],
      /--endpoint: the port is missing: write 10\.77\.0\.11:9444/,
    ],
    [[...node, "--name", "demo", "--endpoint", "a:1", "--cluster-id", "abc"], /--cluster-id: it must be "sha256:"/],
    [[...node, "--name", "demo", "--endpoint", "a:1", "--variant", "tpm2"], /--variant: "tpm2" is none of/],
    [["--role", "cluster", "--pod-subnet", "10.96.0.0/16"], /--pod-subnet: 10\.96\.0\.0\/16 overlaps/],
    [["--role", "cluster", "--kubernetes-version", "1.36.3"], /--kubernetes-version: .*write v1\.36\.3/],
    [["--role", "cluster", "--endpoint", "localhost:6443"], /--endpoint: localhost:6443 is each node itself/],
  ];
  for (const [args, said] of rows) {
    assert.equal(await world.run("config", "new", ...args, "--out", out), 2);
    assert.match(world.err, said);
  }
  await assert.rejects(Deno.stat(out), Deno.errors.NotFound);
});

Deno.test("config new refuses a private key as --operator-key, and shows nothing of it", async () => {
  await using world = await TestWorld.create();
  const key = await world.write(
    "operator.key",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n",
  );
  assert.equal(await world.run("config", "new", "--role", "control-plane", "--name", "a", "--operator-key", key), 2);
  assert.match(world.err, /usage\/operator-key/);
  assert.doesNotMatch(world.err + world.out, /c2VjcmV0/);
});

Deno.test("config new prints one line of JSON for programs", async () => {
  await using world = await TestWorld.create();
  assert.equal(await world.run("config", "new", "--role", "cluster", "--output", "json"), 0);
  const { role, document } = JSON.parse(world.out);
  assert.deepEqual([role, readClusterSettings(document).kubernetesVersion], ["cluster", "v1.36.3"]);
});

Deno.test("newDocument() writes every name of a cluster so that it is read again as it was", () => {
  const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/).filter(isLabel);
  const names = fc.oneof(label, fc.constantFrom("no", "yes", "on", "null", "true", "1e3", "0x1f", "007", "2026-01-01"));
  fc.assert(fc.property(names, (clusterName) => {
    const text = newDocument(
      { role: "control-plane", clusterName, operatorKeys: [KEY], endpoints: [], variant: [] },
      KINDS,
    );
    assert.equal(readNewNodeConfiguration(text, "it").trust.clusterName, clusterName);
  }));
});
