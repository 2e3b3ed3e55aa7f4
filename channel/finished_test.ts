import assert from "node:assert/strict";
import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { connect, createServer } from "node:tls";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createThrowAwayCertificate } from "../certificate/throw_away.ts";
import { hex } from "../platform/bytes.ts";
import { silentLog } from "../platform/log.ts";
import { JoinServiceService } from "../proto/gen/bootstrapper.ts";
import { bindingOf, clientTlsOptions, serverTlsOptions } from "./finished.ts";
import { DENO_RUN } from "../tests/deno_run.ts";
import { listen } from "./server.ts";

const patience = () => ({ signal: AbortSignal.timeout(20_000) });

/** A socket after its handshake, with the given differences. */
function socketOf(changes: Partial<Record<keyof TLSSocket, unknown>> = {}): TLSSocket {
  const value = (byte: number, length = 32) => new Uint8Array(length).fill(byte);
  return {
    getProtocol: () => "TLSv1.3",
    isSessionReused: () => false,
    alpnProtocol: "h2",
    getFinished: () => value(1),
    getPeerFinished: () => value(2),
    ...changes,
  } as unknown as TLSSocket;
}

const value = (byte: number, length = 32) => () => new Uint8Array(length).fill(byte);

Deno.test("bindingOf() gives both ends the same value", async () => {
  const client = hex(await bindingOf(socketOf(), "client"));
  const server = hex(await bindingOf(socketOf({ getFinished: value(2), getPeerFinished: value(1) }), "server"));
  assert.equal(client, server);
  assert.notEqual(client, hex(await bindingOf(socketOf(), "server")));
});

Deno.test("bindingOf() refuses connections that the protocol does not allow", () => {
  const cases: Readonly<Record<string, Partial<Record<keyof TLSSocket, unknown>>>> = {
    "of TLS 1.2": { getProtocol: () => "TLSv1.2" },
    "of no version": { getProtocol: () => null },
    "of a resumed session": { isSessionReused: () => true },
    "without ALPN": { alpnProtocol: false },
    "of HTTP/1.1": { alpnProtocol: "http/1.1" },
  };
  for (const [name, changes] of Object.entries(cases)) {
    assert.throws(() => bindingOf(socketOf(changes), "client"), { code: "protocol/tls" }, name);
  }
});

Deno.test("bindingOf() refuses the values of a runtime that does not implement them", () => {
  const cases: Readonly<Record<string, Partial<Record<keyof TLSSocket, unknown>>>> = {
    "none": { getFinished: () => undefined },
    "the peer's value is missing": { getPeerFinished: () => undefined },
    "empty ones": { getFinished: value(0, 0) },
    "zeros": { getPeerFinished: value(0) },
    "those of TLS 1.2": { getFinished: value(1, 12), getPeerFinished: value(2, 12) },
    "equal ones": { getPeerFinished: value(1) },
  };
  for (const [name, changes] of Object.entries(cases)) {
    assert.throws(() => bindingOf(socketOf(changes), "server"), { code: "internal/channel-binding" }, name);
  }
});

Deno.test("proveChannelBinding() succeeds in a process that believes in no certificate at all", async () => {
  const script = join(import.meta.dirname ?? ".", "testing/prove_channel_binding.ts");
  const [program, ...args] = [...DENO_RUN, script];
  const kept = ["DENO_DIR", "HOME", "PATH"].flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  const env = { ...Object.fromEntries(kept), DENO_TLS_CA_STORE: "," };
  const { code, stderr } = await new Deno.Command(program, { args, env, clearEnv: true, ...patience() }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
});

Deno.test("clientTlsOptions() uses a new server name for every connection, so that no session is resumed", async () => {
  const listener = createServer(serverTlsOptions(await createThrowAwayCertificate()), (socket) => socket.end("x"));
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening", patience());
  const { port } = listener.address() as AddressInfo;
  for (let i = 0; i < 3; i++) {
    const socket = connect({ ...clientTlsOptions(), host: "127.0.0.1", port });
    // The session ticket has arrived once the first data arrives.
    await once(socket, "data", patience());
    assert(!socket.isSessionReused());
    assert.equal(socket.getProtocol(), "TLSv1.3");
    socket.destroy();
  }
  listener.close();
});

Deno.test("listen() ends a connection that resumes a session, before it reads a message", async () => {
  let served = 0;
  await using server = await listen({
    ...{ service: JoinServiceService, host: "127.0.0.1", port: 0, maximumConnections: 8, log: silentLog },
    handle: () => Promise.resolve(void served++),
  });
  // A connection with certificates of its own to believe in has a cache of sessions of its own, too.
  const { ca: _, ...ours } = clientTlsOptions();
  const options = { ...ours, host: "127.0.0.1", port: server.port };
  const first = connect(options);
  await once(first, "data", patience());
  first.destroy();
  const second = connect(options);
  await once(second, "secureConnect", patience());
  assert(second.isSessionReused(), "the test itself failed to resume a session");
  let received = 0;
  second.on("data", ({ length }: Uint8Array) => received += length);
  second.on("error", () => {});
  if (!second.closed) await once(second, "close", patience());
  assert.deepEqual([received, served], [0, 0]);
});
