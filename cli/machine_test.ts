import assert from "node:assert/strict";
import type { TpmStream } from "../attestation/kinds/tpm/transport.ts";
import { streamTransport } from "../attestation/kinds/tpm/transport.ts";
import { StatusWriter } from "../node/status.ts";
import { BootstrapError } from "../platform/errors.ts";
import { sleepingClock } from "../platform/testing/sleeping_clock.ts";
import { openMachine } from "./machine.ts";
import { openRunMachine } from "./run_machine.ts";
import { TestWorld } from "./testing/command_line.ts";

Deno.test("openMachine() closes a TPM that fails, so that it can be opened anew", async () => {
  let closed = 0;
  const stream: TpmStream = {
    write: (bytes) => Promise.resolve(bytes.length),
    read: () => Promise.resolve(null),
    close: () => void closed++,
  };
  await using world = await TestWorld.create({ openTpm: () => Promise.resolve(streamTransport(stream, "test")) });
  await world.write("dev/tpmrm0", "");
  await assert.rejects(openMachine(world.context), { code: "system/tpm-transport" });
  assert.equal(closed, 1);
});

Deno.test("openRunMachine() waits after several failed starts before it opens the machine, and counts its own failure", async () => {
  const { clock, slept } = sleepingClock();
  const sleptBefore: number[] = [];
  await using world = await TestWorld.create({
    openTpm: () => {
      sleptBefore.push(slept.length);
      return Promise.reject(new BootstrapError("system/tpm-transport", "Cannot open the TPM: EBUSY"));
    },
  });
  await world.write("dev/tpmrm0", "");
  const context = { ...world.context, clock };
  for (let start = 0; start < 5; start++) {
    await assert.rejects(openRunMachine(context), { code: "system/tpm-transport" });
  }
  assert.deepEqual(sleptBefore, [0, 0, 0, 1, 2]);
  await new StatusWriter({ path: context.paths.status, clock, log: context.log }).update({ phase: "member" });
  await assert.rejects(openRunMachine(context), { code: "system/tpm-transport" });
  assert.equal(sleptBefore.at(-1), 2);
});

Deno.test("openMachine() reads the routes of its own process, which are there without the rest of /proc", async () => {
  await using world = await TestWorld.create();
  const header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
  const route = "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0";
  await world.write("proc/self/net/route", `${header}\n${route}\n`);
  const { facts } = await openMachine(world.context);
  assert.deepEqual(facts.defaultRouteInterfaces, ["eth0"]);
});
