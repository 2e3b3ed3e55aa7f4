import assert from "node:assert/strict";
import { type MachineOptions, type RunMachine, RunWorld } from "../node/run_machine.ts";
import { FounderTpm, policyOf } from "./_founder_tpms.ts";
import { assertOneCluster, ends, founder, TOKEN, TOKEN_KEY } from "./_run_founders.ts";

const NAMES = ["first", "second", "third"];

/** Three machines found a cluster by evidence, and a worker, a later control plane and a stranger come to it. */
export async function foundByEvidence(t: Deno.TestContext, withToken: boolean): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const make = async () => stack.use(await FounderTpm.create());
  const tpms = await Promise.all(NAMES.map(make));
  const [late, worker, other] = [await make(), await make(), await make()];
  const world = stack.use(await RunWorld.create());
  const step = async (title: string, work: () => Promise<void>) => {
    if (!await t.step(title, work)) throw new Error(`Cannot go on after "${title}"; logs are in ${world.world.logs}`);
  };
  const trust = {
    size: 3,
    policy: policyOf([...tpms, late], [worker, other]),
    ...(withToken ? { tokenKey: TOKEN_KEY } : {}),
  };
  const joins = (tpm: FounderTpm, more: Partial<MachineOptions>): MachineOptions => ({
    init: false,
    joinAt: NAMES,
    tpm: tpm.socketPath,
    founding: { trust },
    ...more,
  });
  const machines: RunMachine[] = [];
  for (const [index, name] of NAMES.entries()) {
    const tpm = tpms[index] ?? assert.fail();
    const options = { trust: { tokenKey: undefined, ...trust }, token: withToken ? TOKEN : null };
    machines.push(await founder(world, name, NAMES, { ...options, machine: { tpm: tpm.socketPath } }));
  }

  await step("the founders become one cluster", async () => {
    await ends(machines.map((machine) => machine.start()));
    await assertOneCluster(machines);
  });

  const working = await world.machine("worker", "", joins(worker, { role: "worker" }));
  await step("a worker of the same trust part joins, without a token", async () => {
    await ends([working.start()]);
    await assertOneCluster(machines, [working]);
  });

  await step("a machine that comes late joins as a control plane", async () => {
    const founding = { trust, ...(withToken ? { token: TOKEN } : {}) };
    const machine = await world.machine("late", "", joins(late, { role: "control-plane", founding }));
    await ends([machine.start()]);
    await assertOneCluster([...machines, machine], [working]);
  });

  await step("a machine with another policy for founders refuses the cluster by name, and stays fresh", async () => {
    const policy = policyOf([...tpms, late, other], [worker]);
    const options = joins(other, { role: "worker", founding: { trust: { ...trust, policy } } });
    const machine = await world.machine("other", "", options);
    const running = machine.start();
    const { code } = await running.event({ event: "join-endpoint-refused" });
    assert.match(String(code), /^refused\//);
    assert.equal(await machine.file("/var/lib/bootstrapper/node.lock"), undefined);
    assert.equal(await running.kill("SIGTERM"), 0, await running.output());
  });
}
