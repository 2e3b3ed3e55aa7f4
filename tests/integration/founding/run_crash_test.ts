/**
 * `kill -9` of founders with real `bootstrapper run`: wherever they die, they end in one cluster, and no second one.
 */
import assert from "node:assert/strict";
import { RunWorld } from "../node/run_machine.ts";
import type { RunMachine } from "../node/run_machine.ts";
import {
  assertOneCluster,
  atStep,
  atTransaction,
  clustersOf,
  dies,
  ends,
  eventsOf,
  firstThatDies,
  founders,
  lockOf,
  QUICK,
} from "./_run_founders.ts";

Deno.test("founders that are killed, and their etcd, become one cluster", async (t) => {
  await using world = await RunWorld.create();
  const machines = await founders(world, ["first", "second", "third"]);
  const [first, second, third] = machines as [RunMachine, RunMachine, RunMachine];
  const step = async (title: string, work: () => Promise<void>) => {
    if (!await t.step(title, work)) throw new Error(`Cannot go on after "${title}"; logs are in ${world.world.logs}`);
  };

  await step("one dies as it pledges, the others when they have heard all pledges", async () => {
    await Promise.all([
      dies(first, { atEvent: { event: "founding-pledged" } }).then(() => first.start()),
      dies(second, { atEvent: { event: "founding-roster-fixed" } }).then(() => second.start()),
      // It may be the last to pledge, and dead before anybody heard it: nobody's roster is fixed before it is back.
      dies(third, { atEvent: { event: "founding-roster-fixed" } }).then(() => third.start()),
    ]);
    for (const machine of machines) await machine.kill();
  });

  let decided: RunMachine;
  let others: readonly RunMachine[];
  await step("whoever is decided on dies right after that, and nobody has a lock", async () => {
    await firstThatDies(machines, atTransaction("decide"));
    for (const machine of machines) assert.deepEqual(await lockOf(machine), {});
  });

  await step("started again it resigns, somebody is decided on, and dies after its lock", async () => {
    const { dead, running } = await firstThatDies(machines, { atEvent: { event: "founding-lock" }, ...QUICK });
    const resigned = (await Promise.all(running.map((one) => eventsOf(one, "founding-decision")))).flat();
    assert.ok(resigned.some(({ resigned }) => /started again before its lock/.test(String(resigned))), "none resigned");
    decided = dead;
    others = machines.filter((machine) => machine !== decided);
    assert.equal((await lockOf(decided)).owner, "init");
    for (const other of others) assert.deepEqual(await lockOf(other), {});
  });

  await step("it goes on; etcd is killed under one, and each of the others dies as it joins", async () => {
    const { clusterId } = await lockOf(decided);
    const founding = decided.start(undefined, QUICK);
    const [one, two] = others as [RunMachine, RunMachine];
    const joining = [
      dies(one, atStep("join-lock", "after")).then(() => one.start(undefined, QUICK)),
      dies(two, atStep("kubeadm-etcd", "before")).then(() => two.start(undefined, QUICK)),
    ];
    await founding.event({ event: "phase-started", phase: "kubeadm-init" });
    await decided.shell("kill -KILL $(cat /run/bootstrapper-founding-etcd.pid)");
    await founding.event({ event: "founding-etcd-ended" });
    await ends([founding, ...await Promise.all(joining)]);
    assert.deepEqual([...await clustersOf(machines)], [clusterId]);
    await assertOneCluster(machines);
  });
});
