/**
 * Serves behind the front of an InitServer at ADDRESS, or, with a PORT, calls it once:
 *
 *     _init_front_server.ts ADDRESS [PORT]
 *
 * @module
 */
import { dial } from "../../../channel/client.ts";
import { listenBehindFront } from "../../../node/init_front.ts";
import { systemClock } from "../../../platform/clock.ts";
import { systemCommands } from "../../../platform/command.ts";
import { createLog } from "../../../platform/log.ts";
import { ownProgram } from "../../../platform/own_program.ts";
import { InitServiceService } from "../../../proto/gen/bootstrapper.ts";
import type { InitClientMessage, InitServerMessage } from "../../../proto/gen/bootstrapper.ts";

const DEADLINE_MS = 10_000;
const [host = "", port] = Deno.args;

if (port === undefined) {
  const server = await listenBehindFront({
    program: ownProgram(() => import.meta.resolve("../../../main.ts")),
    listen: { host, port: 0 },
    folder: "/run/bootstrapper-init",
    commands: systemCommands,
    clock: systemClock,
    log: createLog(systemClock, (line) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`))),
  }, async ({ exchange }) => {
    const { clientNonce: serverNonce } = await exchange.receive("hello", DEADLINE_MS);
    const proposal = { serverNonce, clusterId: new Uint8Array(32), evidence: undefined };
    await exchange.send({ message: { $case: "proposal", proposal } });
  });
  await Deno.stdout.write(new TextEncoder().encode(`{"listening":${server.port}}\n`));
} else {
  using dialled = await dial<InitServerMessage, InitClientMessage>({
    method: InitServiceService.init,
    endpoint: `${host}:${port}`,
    connectDeadlineMs: DEADLINE_MS,
  });
  const hello = { clientNonce: new Uint8Array(32), operatorKey: new Uint8Array(), signature: new Uint8Array() };
  await dialled.exchange.send({ message: { $case: "hello", hello } });
  await dialled.exchange.receive("proposal", DEADLINE_MS);
  await Deno.stdout.write(new TextEncoder().encode("answered\n"));
}
