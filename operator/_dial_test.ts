import assert from "node:assert/strict";
import { listen } from "../channel/server.ts";
import { systemClock } from "../platform/clock.ts";
import { createLog } from "../platform/log.ts";
import type { FoundClientMessage, FoundServerMessage } from "../proto/gen/bootstrapper.ts";
import { FoundingServiceService } from "../proto/gen/bootstrapper.ts";
import { dialInitServer } from "./_dial.ts";

const HELLO = {
  clientNonce: new Uint8Array(32),
  operatorKey: new Uint8Array(44),
  signature: new Uint8Array(64),
} as const;

async function callInit(port: number): Promise<void> {
  using dialled = await dialInitServer(`127.0.0.1:${port}`, AbortSignal.timeout(60_000));
  await dialled.exchange.send({ message: { $case: "hello", hello: HELLO } });
  await dialled.exchange.receive("proposal", 30_000);
}

Deno.test("dialInitServer() says that a node which founds its cluster among equals takes no init", async () => {
  const server = await listen<FoundClientMessage, FoundServerMessage>({
    service: FoundingServiceService,
    ...{ host: "127.0.0.1", port: 0, maximumConnections: 4 },
    handle: () => Promise.resolve(),
    log: createLog(systemClock, () => {}),
  });
  const { port } = server;
  try {
    await assert.rejects(callInit(port), {
      code: "protocol/other-service",
      next: /^A node with trust\.founding in its configuration runs no InitServer .*the InitServer's port is 9443$/,
    });
  } finally {
    await server.close();
  }
  await assert.rejects(callInit(port), { code: "unavailable/init-server", next: /trust\.founding .* never has one/ });
});
