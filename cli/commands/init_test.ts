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
