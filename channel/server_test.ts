import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { connect } from "node:tls";
import { concat, u32be } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createLog, silentLog } from "../platform/log.ts";
import { JoinClientMessage, JoinServiceService } from "../proto/gen/bootstrapper.ts";
import type { JoinServerMessage } from "../proto/gen/bootstrapper.ts";
import { dial } from "./client.ts";
import { clientTlsOptions } from "./finished.ts";
import { listen } from "./server.ts";
import type { ChannelServerOptions } from "./server.ts";

type Options = ChannelServerOptions<JoinClientMessage, JoinServerMessage>;

const PATIENCE_MS = 20_000;
const patience = () => ({ signal: AbortSignal.timeout(PATIENCE_MS) });
const hello: JoinClientMessage = { message: { $case: "hello", hello: { clientNonce: new Uint8Array(32) } } };
const challenge: JoinServerMessage = {
  message: { $case: "challenge", challenge: { credentialBlob: new Uint8Array(), encryptedSecret: new Uint8Array() } },
};

const listenWith = (handle: Options["handle"], changes: Partial<Options> = {}) =>
  listen({
    ...{ service: JoinServiceService, host: "127.0.0.1", port: 0, maximumConnections: 8, log: silentLog },
    handle,
    ...changes,
  });

const dialPort = (port: number) =>
  dial<JoinServerMessage, JoinClientMessage>({
    method: JoinServiceService.join,
    endpoint: `127.0.0.1:${port}`,
    connectDeadlineMs: PATIENCE_MS,
  });

/** A connection whose streams the test controls. */
async function connectRaw(port: number): Promise<ClientHttp2Session> {
  const socket = connect({ ...clientTlsOptions(), host: "127.0.0.1", port });
  await once(socket, "secureConnect", patience());
  const session = connectHttp2(`https://127.0.0.1:${port}`, { createConnection: () => socket });
  session.on("error", () => {});
  return session;
}

/** Makes a call on a connection, and returns whether a message came back. */
async function call(session: ClientHttp2Session): Promise<boolean> {
  const stream = session.request({
    ":method": "POST",
    ":path": JoinServiceService.join.path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  let answered = false;
  stream.on("error", () => {});
  stream.on("data", () => answered = true);
  const message = JoinClientMessage.encode(hello).finish();
  stream.end(concat(Uint8Array.of(0), u32be(message.length), message));
  await once(stream, "close", patience());
  return answered;
}

Deno.test("listen() ends a connection on which a second stream follows the first", async () => {
  let served = 0;
  const events: string[] = [];
  const log = createLog({ now: () => new Date() }, (line) => events.push(JSON.parse(line)["event"]));
  await using server = await listenWith(async ({ exchange }) => {
    served++;
    await exchange.receive("hello", PATIENCE_MS);
    await exchange.send(challenge);
  }, { log });
  const session = await connectRaw(server.port);
  const closed = once(session, "close", patience());
  assert(await call(session), "the first call must work");
  assert(!await call(session));
  await closed;
  assert.equal(served, 1);
  assert(events.includes("channel-second-stream"));
});

Deno.test("listen() evicts the stranger awaited longest to make room", async () => {
  await using server = await listenWith(async ({ exchange }) => {
    await exchange.receive("hello", PATIENCE_MS);
    await exchange.send(challenge);
    await exchange.receive("activation", PATIENCE_MS);
  }, { maximumConnections: 1 });
  using stranger = await dialPort(server.port);
  await stranger.exchange.send(hello);
  await stranger.exchange.receive("challenge", PATIENCE_MS);
  using second = await dialPort(server.port);
  await second.exchange.send(hello);
  await second.exchange.receive("challenge", PATIENCE_MS);
  await assert.rejects(stranger.exchange.receive("ticket", PATIENCE_MS), { code: "unavailable/connection" });
});

Deno.test("listen() closes connections beyond its limit unread while all others are trusted", async () => {
  await using server = await listenWith(async ({ exchange, trustPeer }) => {
    await exchange.receive("hello", PATIENCE_MS);
    trustPeer();
    await exchange.send(challenge);
    await exchange.receive("activation", PATIENCE_MS);
  }, { maximumConnections: 1 });
  const first = await dialPort(server.port);
  await first.exchange.send(hello);
  await first.exchange.receive("challenge", PATIENCE_MS);
  await assert.rejects(dialPort(server.port), { code: "unavailable/connection" });
  first[Symbol.dispose]();
  for (;;) {
    const second = await dialPort(server.port).catch(() => undefined);
    if (second === undefined) continue;
    await second.exchange.send(hello);
    await second.exchange.receive("challenge", PATIENCE_MS);
    second[Symbol.dispose]();
    break;
  }
});

Deno.test("listen() delivers a refusal of any length and in any script", async () => {
  const details = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`${i}`, "語".repeat(400)]));
  const message = "語\n".repeat(600);
  await using server = await listenWith(async ({ exchange, trustPeer }) => {
    await exchange.receive("hello", PATIENCE_MS);
    trustPeer();
    throw new BootstrapError("precondition/preflight", message, { details, next: message });
  });
  using dialled = await dialPort(server.port);
  await dialled.exchange.send(hello);
  await assert.rejects(dialled.exchange.receive("proposal", PATIENCE_MS), {
    code: "precondition/preflight",
    message: "語 ".repeat(512),
  });
});

Deno.test("listen() reports an unknown error as a defect, and tells a stranger nothing of it", async () => {
  await using server = await listenWith(() => Promise.reject(new TypeError("secret")));
  using dialled = await dialPort(server.port);
  await dialled.exchange.send(hello).catch(() => {});
  await assert.rejects(dialled.exchange.receive("proposal", PATIENCE_MS), {
    code: "internal/unexpected",
    message: "The peer refused: internal/unexpected",
  });
});

Deno.test("close() lets a served exchange deliver its last message, and ends all others at once", async () => {
  const closing = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const server = await listenWith(async ({ exchange }) => {
    await exchange.receive("hello", PATIENCE_MS);
    reached.resolve();
    await closing.promise;
    throw new BootstrapError("precondition/joining", "This node is joining a cluster");
  });
  const idle = connect({ ...clientTlsOptions(), host: "127.0.0.1", port: server.port });
  idle.on("error", () => {});
  await once(idle, "secureConnect", patience());
  using dialled = await dialPort(server.port);
  await dialled.exchange.send(hello);
  await reached.promise;
  const closed = server.close();
  idle.resume();
  if (!idle.closed) await once(idle, "close", patience());
  closing.resolve();
  await assert.rejects(dialled.exchange.receive("proposal", PATIENCE_MS), { code: "precondition/joining" });
  dialled[Symbol.dispose]();
  await closed;
});

Deno.test("listen() names the address that is not available", async () => {
  await using server = await listenWith(() => Promise.resolve());
  await assert.rejects(listenWith(() => Promise.resolve(), { port: server.port }), {
    code: "system/listen",
    message: `Cannot listen on 127.0.0.1:${server.port}`,
  });
});
