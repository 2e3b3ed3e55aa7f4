/**
 * The founder that was decided on is dead for good, with real `bootstrapper run`: another one founds, and the old one,
 * when it comes back, is told so. Nothing of its cluster answers then.
 */
import assert from "node:assert/strict";
import { waitUntil } from "../../e2e/wait_until.ts";
import { RunWorld } from "../node/run_machine.ts";
import type { RunChanges, RunMachine } from "../node/run_machine.ts";
import { PATIENCE_MS } from "../node/run_process.ts";
import {
  assertOneCluster,
  atStep,
  atTransaction,
  ends,
  eventsOf,
  firstThatDies,
  founders,
  lockOf,
  QUICK,
  show,
  statusText,
} from "./_run_founders.ts";

/** Five minutes are too long for a test. */
const TAKE_OVER: RunChanges = { foundingTimes: { ...QUICK.foundingTimes, takeoverMs: 8_000 } };
const LEAVE: RunChanges = { foundingTimes: { ...QUICK.foundingTimes, leaveMs: 1_000 } };

const test = (name: string, body: (world: RunWorld) => Promise<void>) =>
  Deno.test(name, async () => {
    await using world = await RunWorld.create();
    try {
      await body(world);
    } catch (cause) {
      throw new Error(`Logs are in ${world.world.logs}`, { cause });
    }
  });

test("dead before its lock: another founds, and the old one joins when it comes back", async (world) => {
  const machines = await founders(world, ["first", "second", "third"]);
  const { dead } = await firstThatDies(machines, { ...atTransaction("decide"), ...TAKE_OVER });
  const others = machines.filter((machine) => machine !== dead);
  const running = others.map((machine) => machine.start(undefined, TAKE_OVER));
  for (const one of running) await one.event({ event: "race", state: "leaving" });
  assert.deepEqual(await lockOf(dead), {});
  await ends([dead.start(undefined, QUICK), ...running]);
  await assertOneCluster(machines);
});

test("dead with a whole cluster that is not complete: superseded, and nothing of it answers", async (world) => {
  const machines = await founders(world, ["first", "second", "third"]);
  const { dead } = await firstThatDies(machines, atStep("kubelet", "after"));
  const others = machines.filter((machine) => machine !== dead);
  assert.equal((await lockOf(dead)).owner, "init");
  assert.ok(await answers(dead), "its API server does not answer");

  const running = others.map((machine) => machine.start(undefined, TAKE_OVER));
  for (const one of running) await one.event({ event: "race", state: "leaving" });
  await assertOneCluster(others);
  assert.notEqual((await lockOf(dead)).clusterId, (await lockOf(others[0] ?? assert.fail())).clusterId);

  for (const tries of ["at its return", "and whenever it is started again"]) {
    const back = dead.start(undefined, QUICK);
    assert.notEqual(await back.exitCode(), 0, tries);
    assert.match(await back.output(), /precondition\/superseded/, tries);
    assert.deepEqual(await eventsOf(back, "join-service-started"), []);
    await waitUntil({ what: "silence", deadlineMs: PATIENCE_MS }, async () => !await answers(dead));
    const status = await statusText(dead);
    assert.match(status, /bootstrapper reset/, status);
    show(status);
  }
  assert.equal(await dead.file("/var/lib/bootstrapper/join-service/state.json"), undefined);

  // They would wait an hour for the one that is missing.
  await Promise.all(others.map((machine) => machine.kill()));
  await ends(others.map((machine) => machine.start(undefined, LEAVE)));
  await assertOneCluster(others);
});

async function answers({ node }: RunMachine): Promise<boolean> {
  const probe = ["curl", "--silent", "--insecure", "--max-time", "5", `https://${node.ip}:6443/version`] as const;
  return (await node.run([...probe])).code === 0;
}
