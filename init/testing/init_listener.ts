/**
 * The front of an InitServer in the test's process, with its real socket.
 *
 * @module
 */
import { join } from "node:path";
import { openRelaySocket } from "../../channel/relay_server.ts";
import type { ChannelServer } from "../../channel/server.ts";
import { systemClock } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";
import { silentLog } from "../../platform/log.ts";
import type { InitSession } from "../exchange_server.ts";
import { listenForOperators } from "../front.ts";
import { serveOperators } from "../front_socket.ts";

/** A listening front, and the socket behind it. */
export interface TestListener extends ChannelServer {
  readonly socket: string;
}

/** Listens on a port of loopback that the kernel chooses. */
export async function listenForInits(
  handle: (session: InitSession) => Promise<void>,
  log: Log = silentLog,
): Promise<TestListener> {
  const folder = await Deno.makeTempDir({ prefix: "init-server-" });
  const socket = join(folder, "init.sock");
  const behind = serveOperators({ listener: await openRelaySocket(socket), clock: systemClock, log }, handle);
  const front = await listenForOperators({ listen: { host: "127.0.0.1", port: 0 }, socket, log: silentLog });
  const close = async () => {
    await front.close();
    await behind[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  };
  return { socket, port: front.port, watch: front.watch, close, [Symbol.asyncDispose]: close };
}
