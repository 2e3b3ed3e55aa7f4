/**
 * Founders of `bootstrapper run` in every order, one after the other, each when the one before has come to a certain
 * point; and five of them.
 */
import { RunWorld } from "../node/run_machine.ts";
import type { RunMachine } from "../node/run_machine.ts";
import type { BootstrapperProcess } from "../node/run_process.ts";
import { assertOneCluster, ends, founders, says } from "./_run_founders.ts";

/** What the one before has come to when the next one starts. */
const POINTS: Readonly<Record<string, (running: BootstrapperProcess, others: number) => Promise<unknown>>> = {
  "started": (running) => running.event({ event: "race", state: "racing" }),
  "dialled": (running) => running.event({ event: "founder-not-met" }),
  "met the others": (running, others) =>
    others === 0 ? running.event({ event: "founder-not-met" }) : says(running, "founders", /^2 of 3 founders/),
};

const ORDERS = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

for (const [number, order] of ORDERS.entries()) {
  const [point, reached] = Object.entries(POINTS)[number % 3] ?? ["", () => Promise.resolve()];
  const isLate = number === ORDERS.length - 1;
  const when = `${point}${isLate ? ", and the last one when they have said that they wait" : ""}`;
  Deno.test(`three start in the order ${order.join()}, each when the one before has ${when}`, async () => {
    await using world = await RunWorld.create();
    const machines = await founders(world, ["first", "second", "third"]);
    const running: BootstrapperProcess[] = [];
    for (const index of order) {
      if (isLate && running.length === 2) await running.at(-1)?.event({ event: "founding-waits" });
      running.push((machines[index] as RunMachine).start());
      const last = running.at(-1);
      if (running.length < order.length && last !== undefined) await reached(last, running.length - 1);
    }
    await ends(running);
    await assertOneCluster(machines);
  });
}

Deno.test("five machines become one cluster", async () => {
  await using world = await RunWorld.create();
  const machines = await founders(world, ["first", "second", "third", "fourth", "fifth"]);
  await ends(machines.map((machine) => machine.start()));
  await assertOneCluster(machines);
});
