/** `config check` with the real kubeadm: what it says of cluster documents. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { TestWorld } from "../../../cli/testing/command_line.ts";
import type { CommandRunner } from "../../../platform/command.ts";
import { systemCommands } from "../../../platform/command.ts";
import { prepareBinaries } from "../../tools/prepare_binaries.ts";

Deno.test("config check has the real kubeadm read the examples, and what config new writes", async () => {
  const { dir } = await prepareBinaries();
  const runner: CommandRunner = {
    run: ([program, ...args], options) => systemCommands.run([join(dir, program), ...args], options),
  };
  await using world = await TestWorld.create({ runner });
  const example = new URL("../../../deploy/cluster.example.yaml", import.meta.url).pathname;
  assert.equal(await world.run("config", "check", example), 0, world.out);
  assert.match(world.out, /^kubeadm: it has read the cluster document$/m);
  const dual = ["--pod-subnet", "10.244.0.0/16,fd00:244::/56", "--service-subnet", "10.96.0.0/16,fd00:96::/112"];
  const file = join(world.root, "dual.yaml");
  assert.equal(await world.run("config", "new", "--role", "cluster", ...dual, "--out", file), 0, world.err);
  assert.equal(await world.run("config", "check", file), 0, world.out);
  const old = await world.write("old.yaml", "kubernetesVersion: v1.31.0\npodSubnet: 10.244.0.0/16\n");
  assert.equal(await world.run("config", "check", old), 1);
  assert.match(world.out, /old\.yaml:1: kubeadm refuses it: this version of kubeadm only supports .*v1\.31\.0$/m);
});
