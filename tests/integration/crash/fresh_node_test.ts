/**
 * A failure before the first irreversible step leaves a fresh node. Its file trees are unchanged, and the node can
 * still be initialised or join.
 */
import assert from "node:assert/strict";
import { assertFresh, treeOf } from "./crash_fresh.ts";
import { initLane, WorkerLane } from "./crash_lanes.ts";
import { InitLife } from "./crash_lives.ts";
import type { RunMachine } from "../node/run_machine.ts";
import { RunWorld } from "../node/run_machine.ts";
import { RunOperator } from "../node/run_operator.ts";
import { PATIENCE_MS } from "../node/run_process.ts";
import { waitUntil } from "../../e2e/wait_until.ts";

const LEFTOVER = "/var/lib/kubelet/pki/left-from-an-earlier-cluster";

/** Asserts that no other `run` is still active, and that the machine is unchanged. */
async function assertStillFresh(machine: RunMachine, before: ReadonlyMap<string, string>): Promise<void> {
  await assertFresh(machine, before);
  assert.equal(await machine.file("/var/lib/bootstrapper/node.lock"), undefined);
}

Deno.test("an init that preflight refuses leaves a fresh node, and an operator without a record", async () => {
  await using world = await RunWorld.create();
  const operator = await RunOperator.create(world);
  const life = await initLane(world, operator).life("refusing");
  assert.ok(life instanceof InitLife);
  const { machine } = life;
  await machine.node.write(LEFTOVER, "");
  const before = await treeOf(machine);
  const running = machine.start();
  await running.event({ event: "init-server-listening" });
  for (let tries = 0; tries < 2; tries++) {
    const init = life.operator.init(machine, []);
    assert.notEqual(await init.exitCode(), 0);
    assert.match(await init.output(), /"code":"precondition\/preflight".*left from an earlier cluster/);
    await assertStillFresh(machine, before);
    await assert.rejects(Deno.stat(life.operator.path("records/test.json")), Deno.errors.NotFound);
  }
  await running.kill("SIGTERM");
  await assertStillFresh(machine, before);
  await machine.shell("rm -r /var/lib/kubelet/pki");
  await life.goOn();
});

Deno.test("an init whose operator goes away before the lock leaves a fresh node", async () => {
  await using world = await RunWorld.create();
  const operator = await RunOperator.create(world);
  const life = await initLane(world, operator).life("left-alone");
  assert.ok(life instanceof InitLife);
  const { machine } = life;
  const before = await treeOf(machine);
  const running = machine.start();
  await running.event({ event: "init-server-listening" });
  const init = life.operator.init(machine, []);
  await init.event({ event: "progress", phase: "preflight", state: "started" });
  await init.kill();
  await running.event({ event: "phase-ended", phase: "preflight" });
  await waitUntil({ what: "run that waits again", deadlineMs: PATIENCE_MS }, async () => {
    const status = JSON.parse(await machine.text("/var/lib/bootstrapper/status.json"));
    return status.phase === "racing";
  });
  await assertStillFresh(machine, before);
  await running.kill("SIGTERM");
  await life.goOn();
});

Deno.test("a join that preflight refuses leaves a fresh node, and goes on when the machine is repaired", async () => {
  await using world = await RunWorld.create();
  using lane = await WorkerLane.create(world, await RunOperator.create(world));
  const life = await lane.life("refusing");
  const { machine } = life;
  await machine.node.write(LEFTOVER, "");
  const before = await treeOf(machine);
  const running = machine.start();
  await running.event({ event: "join-not-prepared", code: "precondition/preflight" });
  await assertStillFresh(machine, before);
  await machine.shell("rm -r /var/lib/kubelet/pki");
  assert.equal(await running.exitCode(), 0, await running.output());
  await lane.assertMember(life, {});
});
