import assert from "node:assert/strict";
import { connect } from "node:tls";
import { once } from "node:events";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { createNamedCertificate } from "../certificate/testing/named_certificate.ts";
import { onAbort } from "../platform/abortable.ts";
import { BootstrapError } from "../platform/errors.ts";
import { equalBytes } from "../platform/bytes.ts";
import { silentLog } from "../platform/log.ts";
import { InitServiceService, JoinServiceService } from "../proto/gen/bootstrapper.ts";
import type {
  InitClientMessage,
  InitServerMessage,
  JoinClientMessage,
  JoinServerMessage,
} from "../proto/gen/bootstrapper.ts";
import { dial } from "./client.ts";
import { proveChannelBinding } from "./finished.ts";
import { listen } from "./server.ts";
import type { Session } from "./server.ts";

type Handle = (session: Session<JoinClientMessage, JoinServerMessage>) => Promise<void>;

const listenWith = (handle: Handle) =>
  listen({ service: JoinServiceService, host: "127.0.0.1", port: 0, maximumConnections: 8, log: silentLog, handle });

const dialPort = (port: number) =>
  dial<JoinServerMessage, JoinClientMessage>({
    method: JoinServiceService.join,
    endpoint: `127.0.0.1:${port}`,
    connectDeadlineMs: 5000,
  });

const hello = (length = 32): JoinClientMessage => ({
  message: { $case: "hello", hello: { clientNonce: new Uint8Array(length).fill(1) } },
});

const challenge: JoinServerMessage = {
  message: { $case: "challenge", challenge: { credentialBlob: new Uint8Array(1), encryptedSecret: new Uint8Array(1) } },
};

Deno.test("proveChannelBinding() passes on this runtime", () => proveChannelBinding());

Deno.test("dial() and listen() share the channel binding, and each connection has its own", async () => {
  const seen: Uint8Array[] = [];
  await using server = await listenWith(async ({ exchange }) => {
    await exchange.receive("hello", 5000);
    seen.push(exchange.binding);
    await exchange.send(challenge);
  });
  for (let i = 0; i < 2; i++) {
    using dialled = await dialPort(server.port);
    await dialled.exchange.send(hello());
    await dialled.exchange.receive("challenge", 5000);
    assert(equalBytes(dialled.exchange.binding, seen[i] ?? new Uint8Array()));
    await dialled.finish();
  }
  assert.notDeepEqual(seen[0], seen[1]);
});

Deno.test("listen() sends a stranger only the code, and a trusted peer the whole refusal", async () => {
  for (const trusted of [false, true]) {
    await using server = await listenWith(async ({ exchange, trustPeer }) => {
      await exchange.receive("hello", 5000);
      if (trusted) trustPeer();
      throw new BootstrapError("refused/pcr-4", "PCR 4 differs", {
        details: { expected: "a", seen: "b" },
        next: "Look",
      });
    });
    using dialled = await dialPort(server.port);
    await dialled.exchange.send(hello());
    await assert.rejects(dialled.exchange.receive("proposal", 5000), (error: unknown) => {
      assert(error instanceof BootstrapError);
      assert.equal(error.code, "refused/pcr-4");
      assert.equal(error.message.includes("PCR 4"), trusted);
      assert.equal(error.details["seen"], trusted ? "b" : undefined);
      return true;
    });
  }
});

Deno.test("receive() refuses a message out of order, a silent peer, and a message over the limit", async () => {
  const errors: string[] = [];
  await using server = await listenWith(async ({ exchange }) => {
    try {
      await exchange.receive("hello", 300);
    } catch (error) {
      errors.push((error as BootstrapError).code);
      throw error;
    }
  });
  {
    using dialled = await dialPort(server.port);
    await dialled.exchange.send({ message: { $case: "activation", activation: { hmac: new Uint8Array(32) } } });
    await assert.rejects(dialled.exchange.receive("proposal", 5000), { code: "protocol/order" });
  }
  {
    using dialled = await dialPort(server.port);
    await assert.rejects(dialled.exchange.receive("proposal", 5000), { code: "timeout/peer" });
  }
  {
    using dialled = await dialPort(server.port);
    const sending = dialled.exchange.send(hello(300 * 1024));
    await assert.rejects(Promise.all([sending, dialled.exchange.receive("proposal", 5000)]), BootstrapError);
  }
  assert.deepEqual(errors.slice(0, 2), ["protocol/order", "timeout/peer"]);
});

Deno.test("listen() closes the exchange at once when the peer disconnects", async () => {
  const gone = Promise.withResolvers<void>();
  await using server = await listenWith(async ({ exchange }) => {
    await exchange.receive("hello", 5000);
    onAbort(exchange.closed, gone.resolve);
    await exchange.send(challenge);
    await exchange.receive("request", 60_000);
  });
  const dialled = await dialPort(server.port);
  await dialled.exchange.send(hello());
  await dialled.exchange.receive("challenge", 5000);
  dialled[Symbol.dispose]();
  await gone.promise;
});

Deno.test("listen() refuses TLS 1.2", async () => {
  await using server = await listenWith(() => Promise.resolve());
  const socket = connect({ host: "127.0.0.1", port: server.port, rejectUnauthorized: false, maxVersion: "TLSv1.2" });
  await assert.rejects(once(socket, "secureConnect"));
  socket.destroy();
});

Deno.test("dial() fails with a retriable error when no server listens", async () => {
  const server = await listenWith(() => Promise.resolve());
  await server.close();
  await assert.rejects(dialPort(server.port), {
    ...{ code: "unavailable/connection", retriable: true },
    message: `The connection failed: connect ECONNREFUSED 127.0.0.1:${server.port}`,
  });
});

/** A server as people take it for ours: TLS 1.3, HTTP/2, and a certificate with a name of its own. */
async function serverWithName(commonName: string, work: (port: number) => Promise<void>): Promise<void> {
  const { certificatePem: cert, keyPem: key } = await createNamedCertificate(commonName);
  const server = createSecureServer({ cert, key, minVersion: "TLSv1.3" }, (_request, response) => {
    response.writeHead(403, { "content-type": "application/json" });
    response.end('{"kind":"Status"}');
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await work((server.address() as AddressInfo).port);
  } finally {
    server.close();
  }
}

Deno.test("dial() names the server that answers where another one was expected", async () => {
  const names: readonly (readonly [string, RegExp])[] = [
    ["kube-apiserver", /Not the join service at 127\.0\.0\.1:\d+: a Kubernetes API server answers here$/],
    ["system:node:cp-1", /: a kubelet answers here$/],
    ["www.example.org", /: another server answers here, whose certificate is for www\.example\.org$/],
  ];
  for (const [name, message] of names) {
    await serverWithName(name, async (port) => {
      const calling = async () => {
        using dialled = await dial<JoinServerMessage, JoinClientMessage>({
          method: JoinServiceService.join,
          endpoint: `127.0.0.1:${port}`,
          connectDeadlineMs: 5000,
          expected: { name: "the join service", usualPort: 9444 },
        });
        await dialled.exchange.send(hello());
        await dialled.exchange.receive("proposal", 5000);
      };
      const next = "Check the address and the port: the join service's port is 9444";
      await assert.rejects(calling(), { code: "protocol/other-server", retriable: false, message, next });
    });
  }
});

Deno.test("dial() says that the other one of this program's servers answers", async () => {
  await using server = await listenWith(() => Promise.resolve());
  const calling = async () => {
    using dialled = await dial<InitServerMessage, InitClientMessage>({
      method: InitServiceService.init,
      endpoint: `127.0.0.1:${server.port}`,
      connectDeadlineMs: 5000,
      expected: { name: "the InitServer", usualPort: 9443 },
    });
    await dialled.exchange.receive("proposal", 5000);
  };
  await assert.rejects(calling(), { code: "protocol/other-service", next: /the InitServer's port is 9443$/ });
});
