import assert from "node:assert/strict";
import type { NodeRemoveOptions } from "../programs/node_remove.ts";
import { nodeRemove } from "./node_remove.ts";
import { TestWorld } from "../testing/command_line.ts";

Deno.test("node remove reads its options, with their defaults", async () => {
  const seen: NodeRemoveOptions[] = [];
  await using world = await TestWorld.create({
    commands: [{ ...nodeRemove, action: (options: NodeRemoveOptions) => Promise.resolve(void seen.push(options)) }],
  });
  assert.equal(await world.run("node", "remove", "cp-2", "--kubeconfig", "kc"), 0, world.err);
  assert.deepEqual(world.kept, nodeRemove.keeps);
  const all = ["--kubeconfig", "kc", "--yes", "--force", "--may-return", "--wait", "30s", "--output", "json"];
  assert.equal(await world.run("node", "remove", "cp-2", ...all), 0);
  const common = { nodeName: "cp-2", kubeconfigFile: "kc" };
  assert.deepEqual(seen, [
    { ...common, waitMs: 120_000, yes: false, force: false, mayReturn: false, output: "text" },
    { ...common, waitMs: 30_000, yes: true, force: true, mayReturn: true, output: "json" },
  ]);
});

Deno.test("node remove refuses a text that is not a name, and requires a kubeconfig", async () => {
  await using world = await TestWorld.create();
  const wrong: readonly (readonly [readonly string[], string])[] = [
    [["node"], "usage/no-subcommand"],
    [["node", "bogus"], "usage/unknown-command"],
    [["node", "remove", "--kubeconfig", "kc"], "usage/missing-argument"],
    [["node", "remove", "cp-2"], "usage/missing-mandatory-option-value"],
    [["node", "remove", "../nodes", "--kubeconfig", "kc"], "usage/node-name"],
    [["node", "remove", "cp-2", "--kubeconfig", "kc", "--wait", "soon"], "usage/duration"],
  ];
  for (const [args, code] of wrong) {
    assert.equal(await world.run(...args), 2, args.join(" "));
    assert.ok(world.err.includes(code), world.err);
  }
  assert.equal(await world.run("node", "remove", "--help"), 0);
  assert.ok(world.out.split("\n").every((line) => line.length <= 80), world.out);
});
