import assert from "node:assert/strict";
import type { NodeReattestOptions } from "../programs/node_reattest.ts";
import { TestWorld } from "../testing/command_line.ts";
import { nodeReattest } from "./node_reattest.ts";

Deno.test("node reattest reads its options, with their defaults, and requires a kubeconfig", async () => {
  const seen: NodeReattestOptions[] = [];
  await using world = await TestWorld.create({
    commands: [{ ...nodeReattest, action: (options: NodeReattestOptions) => Promise.resolve(void seen.push(options)) }],
  });
  assert.equal(await world.run("node", "reattest", "--kubeconfig", "kc"), 0, world.err);
  assert.equal(await world.run("node", "reattest", "--kubeconfig", "kc", "--at-once", "--yes", "--output", "json"), 0);
  assert.deepEqual(seen, [
    { kubeconfigFile: "kc", atOnce: false, yes: false, output: "text" },
    { kubeconfigFile: "kc", atOnce: true, yes: true, output: "json" },
  ]);
  assert.equal(await world.run("node", "reattest"), 2);
});
