import type { Socket } from "node:net";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";
import { clientTlsOptions } from "../../../channel/finished.ts";
import { dialService } from "../../exchanges/join_world.ts";
import { randomBytes, utf8 } from "../../../platform/bytes.ts";
import { joinByHand } from "./join_attacks.ts";

/** A hostile connection. It settles when the service has ended the connection. */
type Attack = (port: number) => Promise<unknown>;

const LORIS_PAUSE_MS = 250;
const PATIENCE_MS = 60_000;
const HELLO = { message: { $case: "hello", hello: { clientNonce: new Uint8Array(32) } } } as const;

/** Every kind of peer that uses a service's resources and is never admitted. */
export const HOSTILE_PEERS: Readonly<Record<string, Attack>> = Object.freeze({
  "says nothing": (port) => closed(connectTcp(port, "127.0.0.1")),
  "talks garbage instead of TLS": (port) => {
    const socket = connectTcp(port, "127.0.0.1");
    socket.write(randomBytes(4096));
    return closed(socket);
  },
  "says nothing after TLS": (port) => closed(tls(port)),
  "talks garbage instead of HTTP/2": (port) => {
    const socket = tls(port);
    socket.write(randomBytes(4096));
    return closed(socket);
  },
  "sends its first bytes one by one": (port) => {
    const socket = tls(port);
    const preface = utf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let sent = 0;
    const timer = setInterval(() => socket.write(preface.subarray(sent, ++sent)), LORIS_PAUSE_MS);
    return closed(socket).finally(() => clearInterval(timer));
  },
  "says hello and leaves the rest open": async (port) => {
    using dialled = await dialService(port);
    await dialled.exchange.send(HELLO);
    await dialled.exchange.receive("proposal", PATIENCE_MS);
    await dialled.exchange.receive("ticket", PATIENCE_MS);
  },
  "opens a stream and sends nothing": async (port) => {
    using dialled = await dialService(port);
    await dialled.exchange.receive("proposal", PATIENCE_MS);
  },
  "sends what is larger than any message": async (port) => {
    using dialled = await dialService(port);
    await dialled.exchange.send(HELLO);
    const challenge = { credentialBlob: new Uint8Array(), encryptedSecret: new Uint8Array() };
    await dialled.exchange.receive("proposal", PATIENCE_MS);
    const request = { request: new Uint8Array(200 * 1024), nodeKey: challenge.credentialBlob };
    const sealingKey = new Uint8Array(32);
    const signatures = { signature: new Uint8Array(64), identitySignature: new Uint8Array() };
    const message = { ...request, ...signatures, sealingKey, evidence: undefined };
    await dialled.exchange.send({ message: { $case: "request", request: message } });
    await dialled.exchange.receive("ticket", PATIENCE_MS);
  },
  "asks properly with evidence that proves nothing": (port) =>
    joinByHand(port, {
      namesIdentity: false,
      evidence: () => Promise.resolve({ variant: "tpm", payload: randomBytes(2048) }),
    }),
});

function tls(port: number): TLSSocket {
  return connectTls({ ...clientTlsOptions(), host: "127.0.0.1", port });
}

function closed(socket: Socket | TLSSocket): Promise<void> {
  socket.on("error", () => {});
  socket.resume();
  return new Promise((resolve) => socket.once("close", () => resolve()));
}
