/**
 * A join service in the test's process: a front and a signer, with their real socket between them.
 *
 * @module
 */
import { join } from "node:path";
import { openRelaySocket } from "../../channel/relay_server.ts";
import type { ChannelServer } from "../../channel/server.ts";
import { systemClock } from "../../platform/clock.ts";
import type { Endpoint } from "../../platform/endpoint.ts";
import { silentLog } from "../../platform/log.ts";
import type { JoinExchangeService } from "../exchange_parts.ts";
import { listenForNodes } from "../front.ts";
import { serveExchanges } from "../service.ts";

/** A listening front, and the socket behind it. */
export interface TestListener extends ChannelServer {
  readonly socket: string;
}

/**
 * Listens for nodes.
 *
 * @param service The parts that each exchange works with.
 * @param address Where to listen; port 0 lets the kernel choose one.
 */
export async function listenForJoins(service: JoinExchangeService, address: Endpoint): Promise<TestListener> {
  const folder = await Deno.makeTempDir({ prefix: "join-service-" });
  const socket = join(folder, "signer.sock");
  const signer = serveExchanges(
    { listener: await openRelaySocket(socket), clock: systemClock, log: service.log },
    () => service,
  );
  const front = await listenForNodes({ listen: address, socket, log: silentLog });
  const close = async () => {
    await front.close();
    await signer[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  };
  return { socket, port: front.port, watch: front.watch, close, [Symbol.asyncDispose]: close };
}
