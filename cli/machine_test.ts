import assert from "node:assert/strict";
import { openMachine } from "./machine.ts";
import { TestWorld } from "./testing/command_line.ts";

Deno.test("openMachine() reads the routes of its own process, which are there without the rest of /proc", async () => {
  await using world = await TestWorld.create();
  const header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
  const route = "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0";
  await world.write("proc/self/net/route", `${header}\n${route}\n`);
  const { facts } = await openMachine(world.context);
  assert.deepEqual(facts.defaultRouteInterfaces, ["eth0"]);
});
