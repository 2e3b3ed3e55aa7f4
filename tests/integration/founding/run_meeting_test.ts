/**
 * Founders that cannot found yet, with real `bootstrapper run`: too few, too many, two that cannot both be there, and
 * machines of another trust part. What hinders is said on every machine, and once it is gone they become one cluster.
 */
import assert from "node:assert/strict";
import { createFoundingToken } from "../../../protocol/founding_token.ts";
import { RunWorld } from "../node/run_machine.ts";
import type { BootstrapperProcess } from "../node/run_process.ts";
import {
  assertOneCluster,
  ends,
  eventsOf,
  founder,
  lockOf,
  says,
  show,
  statusLike,
  TOKEN,
  TOKEN_KEY,
} from "./_run_founders.ts";

Deno.test("whatever keeps founders from pledging is said, and without it they become one cluster", async (t) => {
  await using world = await RunWorld.create();
  const step = async (title: string, work: () => Promise<void>) => {
    if (!await t.step(title, work)) throw new Error(`Cannot go on after "${title}"; logs are in ${world.world.logs}`);
  };
  const peers = ["first", "second", "third", "twin"];
  const size = { size: 3 };
  const first = await founder(world, "first", peers, { trust: size });
  const second = await founder(world, "second", peers, { trust: size });
  const third = await founder(world, "third", peers, { trust: size });
  const running: BootstrapperProcess[] = [first.start(), second.start()];
  const [one, two] = running as [BootstrapperProcess, BootstrapperProcess];

  await step("two of three wait, and say in log and status who is there and who is not met", async () => {
    await says(one, "founders", /^2 of 3 founders; there: second$/);
    await says(two, "founders", /^2 of 3 founders; there: first$/);
    await one.event({ event: "founding-waits" });
    const status = await statusLike(first, /1 more of 3 founders/);
    assert.match(status, /second/);
    assert.match(status, new RegExp(third.node.ip.replaceAll(".", "\\.")));
    show(status);
  });

  await step("a machine whose trust part has another size is named on both sides, with the field", async () => {
    const other = await founder(world, "other", peers, { trust: { size: 5 } });
    const its = other.start();
    const { message } = await its.event({ event: "founder-not-met", code: "refused/founding-trust" });
    assert.match(String(message), /trust\.founding\.size is 5 on the one that dialled, and 3 on the other/);
    const { field } = await one.event({ event: "exchange-refused", code: "refused/founding-trust" });
    assert.equal(field, "trust.founding.size");
    assert.equal(await its.kill("SIGTERM"), 0, await its.output());
  });

  await step("a token that is not the one of the trust part ends run at its start", async () => {
    const stranger = await founder(world, "stranger", peers, { trust: size, token: createFoundingToken() });
    const its = stranger.start();
    assert.notEqual(await its.exitCode(), 0);
    assert.match(await its.output(), /usage\/founding-token-other/);
    assert.ok(!(await its.output()).includes(TOKEN.slice(5, 20)));
  });

  const twin = await founder(world, "twin", peers, {
    trust: size,
    own: { address: `${first.node.ip}:9445` },
    machine: { nodeName: "first" },
  });
  const twins = twin.start();
  await step("two with one name and one address are named, and nobody pledges", async () => {
    for (const process of [one, two, twins]) {
      await says(process, "founders", /two founders have the name first/);
      await says(process, "founders", /have one address/);
    }
    await statusLike(second, /two founders have the name first/);
  });

  const three = third.start();
  running.push(three);
  await step("four of three: nobody pledges, and all say why", async () => {
    for (const process of [...running, twins]) await says(process, "founders", /^4 of 3 founders: switch one off/);
    await statusLike(third, /4 of 3 founders: switch one off/);
    for (const process of [...running, twins]) assert.deepEqual(await eventsOf(process, "founding-pledged"), []);
  });

  await step("with one switched off, the others become one cluster", async () => {
    await twins.kill();
    await ends(running);
    await assertOneCluster([first, second, third]);
    assert.deepEqual(await lockOf(twin), {});
  });

  await step("a founder that comes too late joins, as a control plane, and its run ends", async () => {
    const late = await founder(world, "late", peers, { trust: size });
    await ends([late.start()]);
    await assertOneCluster([first, second, third, late]);
  });

  await step("a control plane without the token is refused, and a worker needs none", async () => {
    const trust = { size: 3, tokenKey: TOKEN_KEY };
    const worker = await world.machine("worker", "", {
      init: false,
      role: "worker",
      joinAt: ["second"],
      founding: { trust },
    });
    await ends([worker.start()]);
    const without = await world.machine("without", "", {
      init: false,
      role: "control-plane",
      joinAt: ["second"],
      founding: { trust },
    });
    const its = without.start();
    assert.notEqual(await its.exitCode(), 0);
    assert.match(await its.output(), /usage\/founding-token-missing/);
  });
});
