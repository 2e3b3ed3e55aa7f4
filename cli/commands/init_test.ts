import assert from "node:assert/strict";
import { join } from "node:path";
import { TestWorld } from "../testing/command_line.ts";

Deno.test("init calls no node if there is no folder for the files that it will write", async () => {
  await using world = await TestWorld.create();
  const path = (name: string) => join(world.root, name);
  assert.equal(await world.run("keygen", "--no-passphrase", "--out", path("operator.key")), 0, world.err);
  const policy = await Deno.readTextFile(new URL("../../deploy/policy.example.yaml", import.meta.url));
  await world.write("policy.yaml", policy);
  const call = [
    "init",
    "127.0.0.1:1",
    "--name",
    "demo",
    "--key",
    path("operator.key"),
    "--policy",
    path("policy.yaml"),
  ];
  const files = ["--kubeconfig", path("a.kubeconfig"), "--cluster-file", path("a.yaml"), "--records", path("records")];
  for (const option of ["--kubeconfig", "--cluster-file"]) {
    assert.equal(await world.run(...call, ...files, option, path("none/x")), 1, world.err);
    assert.match(
      world.err,
      /none\/x: the folder \S+\/none does not exist\.\n[^]*\nNext: Make the folder, or check the path/,
    );
  }
});

Deno.test("init reads and checks the network's manifests before it calls a node", async () => {
  await using world = await TestWorld.create();
  const path = (name: string) => join(world.root, name);
  assert.equal(await world.run("keygen", "--no-passphrase", "--out", path("operator.key")), 0, world.err);
  const policy = await Deno.readTextFile(new URL("../../deploy/policy.example.yaml", import.meta.url));
  await world.write("policy.yaml", policy);
  const flannel = (network: string) =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-flannel-cfg}\ndata: {net-conf.json: '{"Network":"${network}"}'}\n`;
  await world.write("good.yml", flannel("10.244.0.0/16"));
  await world.write("other.yml", flannel("10.42.0.0/16"));
  await world.write("none.yml", "hello\n");
  await Deno.mkdir(path("empty"));
  const call = [
    ...["init", "127.0.0.1:1", "--name", "demo", "--key", path("operator.key"), "--policy", path("policy.yaml")],
    ...["--kubeconfig", path("a.kubeconfig"), "--cluster-file", path("a.yaml"), "--records", path("records")],
  ];
  const cases = [
    [
      ["other.yml"],
      /flannel's network 10\.42\.0\.0\/16 .* is not the cluster's podSubnet 10\.244\.0\.0\/16[^]*docs\/network\.md/,
    ],
    [["none.yml"], /none\.yml, line 1: the document is no Kubernetes object/],
    [["good.yml", "good.yml"], /ConfigMap kube-flannel-cfg is there twice, first at .*good\.yml, line 1/],
    [["empty"], /the folder has no file that ends in \.yaml, \.yml or \.json/],
  ] as const;
  for (const [files, reason] of cases) {
    const networks = files.flatMap((file) => ["--network", path(file)]);
    assert.equal(await world.run(...call, ...networks), 2, world.err);
    assert.match(world.err, reason);
  }
  assert.equal(await world.run(...call, "--network", "-"), 2);
  assert.match(world.err, /it is not read from standard input/);
  assert.equal(await world.run(...call, "--network", path("missing.yml")), 1);
  assert.match(world.err, /Cannot read .*missing\.yml/);
  // The node is called only with a manifest that fits.
  assert.equal(await world.run(...call, "--network", path("good.yml")), 4, world.err);
});
