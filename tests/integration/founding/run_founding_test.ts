/**
 * `bootstrapper run` on machines that found a cluster among equals: real etcd and kubeadm, nobody at a keyboard.
 */
import assert from "node:assert/strict";
import { base64 } from "../../../platform/bytes.ts";
import { createFoundingToken, deriveToken } from "../../../protocol/founding_token.ts";
import type { RunMachine } from "../node/run_machine.ts";
import { CLUSTER_NAME, RunWorld } from "../node/run_machine.ts";
import type { BootstrapperProcess } from "../node/run_process.ts";

const token = createFoundingToken();
const { spki } = await deriveToken(token, CLUSTER_NAME, "the test");
const tokenKey = base64(spki);

/** Makes machines with one configuration, which have booted. */
async function founders(world: RunWorld, names: readonly string[]): Promise<readonly RunMachine[]> {
  const nodes = await Promise.all(names.map((name) => world.world.node(name)));
  const machines: RunMachine[] = [];
  for (const name of names) {
    machines.push(
      await world.machine(name, "", {
        init: false,
        founding: { trust: { size: names.length, tokenKey }, own: { peers: nodes.map(({ ip }) => ip) }, token },
      }),
    );
  }
  return machines;
}

/** The cluster ID of a machine's lock. */
async function clusterOf(machine: RunMachine): Promise<unknown> {
  const lock = JSON.parse(await machine.file("/var/lib/bootstrapper/node.lock") ?? "{}");
  return lock["clusterId"];
}

async function ends(running: readonly BootstrapperProcess[]): Promise<void> {
  for (const one of running) assert.equal(await one.exitCode(), 0, await one.output());
}

Deno.test("one machine founds a cluster alone", async () => {
  await using world = await RunWorld.create();
  const machines = await founders(world, ["alone"]);
  const running = machines.map((machine) => machine.start());
  await ends(running);
});

Deno.test("three machines become one cluster, whichever is decided on", async () => {
  await using world = await RunWorld.create();
  const machines = await founders(world, ["first", "second", "third"]);
  const running = machines.map((machine) => machine.start());
  await ends(running);
  const clusters = await Promise.all(machines.map(clusterOf));
  assert.equal(new Set(clusters).size, 1, String(clusters));
});
