/**
 * Servers for tests of TLS.
 *
 * @module
 */
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";

/** A server that answers `{}`. */
export interface TestServer extends AsyncDisposable {
  /** On 127.0.0.1. */
  readonly port: number;
}

/** Starts a server with a certificate and its key, PEM. */
export async function startHttpsServer(certificatePem: string, keyPem: string): Promise<TestServer> {
  const server = createServer({ cert: certificatePem, key: keyPem }, (_request, response) => void response.end("{}"));
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
