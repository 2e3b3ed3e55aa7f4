import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { BootstrapError } from "../platform/errors.ts";
import type { JoinClientMessage, JoinServerMessage } from "../proto/gen/bootstrapper.ts";
import { Exchange } from "./exchange.ts";
import type { MessageStream } from "./exchange.ts";

const LONG_MS = 60_000;

/** A stream whose two ends a test plays. It records whether it may flow. */
class ScriptedStream extends EventEmitter implements MessageStream<JoinClientMessage, JoinServerMessage> {
  readonly written: JoinServerMessage[] = [];
  flowing = true;
  writeError: Error | undefined;
  stuck = false;

  pause(): this {
    this.flowing = false;
    return this;
  }

  resume(): this {
    this.flowing = true;
    return this;
  }

  write(message: JoinServerMessage, callback?: (error?: Error | null) => void): boolean {
    this.written.push(message);
    if (!this.stuck) callback?.(this.writeError ?? null);
    return true;
  }
}

const hello = (byte = 1): JoinClientMessage => ({
  message: { $case: "hello", hello: { clientNonce: Uint8Array.of(byte) } },
});
const activation: JoinClientMessage = { message: { $case: "activation", activation: { hmac: new Uint8Array() } } };
const ticket = { credentialBlob: new Uint8Array(), encryptedSecret: new Uint8Array() };
const answer: JoinServerMessage = { message: { $case: "challenge", challenge: ticket } };

function open() {
  const stream = new ScriptedStream();
  const translate = (error: Error) => new BootstrapError("unavailable/peer-gone", error.message);
  const exchange = new Exchange<JoinClientMessage, JoinServerMessage>(stream, new Uint8Array(32), "peer", translate);
  return { stream, exchange };
}

Deno.test("receive() returns a message that comes later, and one that came before", async () => {
  const { stream, exchange } = open();
  const later = exchange.receive("hello", LONG_MS);
  stream.emit("data", hello(1));
  assert.deepEqual((await later).clientNonce, Uint8Array.of(1));
  stream.emit("data", hello(2));
  assert.deepEqual((await exchange.receive("hello", LONG_MS)).clientNonce, Uint8Array.of(2));
});

Deno.test("receive() returns messages in order, and reads no further than requested", async () => {
  const { stream, exchange } = open();
  stream.emit("data", hello(1));
  assert(!stream.flowing, "a peer could fill the memory");
  stream.emit("data", hello(2));
  assert.deepEqual((await exchange.receive("hello", LONG_MS)).clientNonce, Uint8Array.of(1));
  assert.deepEqual((await exchange.receive("hello", LONG_MS)).clientNonce, Uint8Array.of(2));
  assert(!stream.flowing);
  const waiting = exchange.receive("hello", LONG_MS);
  assert(stream.flowing);
  stream.emit("data", hello(3));
  await waiting;
});

Deno.test("receive() refuses a message of an unexpected kind, and an empty one", async () => {
  const { stream, exchange } = open();
  stream.emit("data", activation);
  await assert.rejects(exchange.receive("hello", LONG_MS), {
    code: "protocol/order",
    message: 'Expected the message "hello", not "activation"',
  });
  stream.emit("data", { message: undefined });
  await assert.rejects(exchange.receive("hello", LONG_MS), { code: "protocol/order", message: /not "nothing"/ });
  stream.emit("data", hello());
  await assert.rejects(exchange.receiveAny(["request", "activation"], LONG_MS), {
    code: "protocol/order",
    message: 'Expected the message "request" or "activation", not "hello"',
  });
});

Deno.test("receiveAny() returns the kind of the message", async () => {
  const { stream, exchange } = open();
  stream.emit("data", activation);
  assert.equal((await exchange.receiveAny(["hello", "activation"], LONG_MS)).kind, "activation");
});

Deno.test("receive() cuts off a silent peer after its deadline", async () => {
  const { exchange } = open();
  await assert.rejects(exchange.receive("hello", 5), { code: "timeout/peer", message: /0\.005 s/ });
});

Deno.test("receive() ends at once when the peer disconnects, in any way", async () => {
  for (const event of ["end", "cancelled", "close"] as const) {
    const { stream, exchange } = open();
    const waiting = exchange.receive("hello", LONG_MS);
    stream.emit(event);
    await assert.rejects(waiting, { code: "unavailable/peer-gone" }, event);
    assert(exchange.closed.aborted);
  }
  const { stream, exchange } = open();
  const waiting = exchange.receive("hello", LONG_MS);
  stream.emit("error", new Error("reset"));
  await assert.rejects(waiting, { code: "unavailable/peer-gone", message: "reset" });
});

Deno.test("receive() still returns messages that came before the peer disconnected", async () => {
  const { stream, exchange } = open();
  stream.emit("data", hello());
  stream.emit("end");
  await exchange.receive("hello", LONG_MS);
  await assert.rejects(exchange.receive("hello", LONG_MS), { code: "unavailable/peer-gone" });
});

Deno.test("close() ends a waiting receive() and every later call with the first reason", async () => {
  const { stream, exchange } = open();
  const waiting = exchange.receive("hello", LONG_MS);
  exchange.close(new BootstrapError("aborted/superseded", "first"));
  exchange.close(new BootstrapError("aborted/run", "second"));
  stream.emit("end");
  for (const call of [waiting, exchange.receive("hello", LONG_MS), exchange.send(answer)]) {
    await assert.rejects(call, { code: "aborted/superseded" });
  }
  assert.equal(stream.written.length, 0);
});

Deno.test("send() resolves when the message is out, and fails when the stream does", async () => {
  const { stream, exchange } = open();
  await exchange.send(answer);
  assert.deepEqual(stream.written, [answer]);
  stream.writeError = new Error("broken pipe");
  await assert.rejects(exchange.send(answer), { code: "unavailable/peer-gone" });
});

Deno.test("send() to a peer that does not read ends when the exchange does", async () => {
  const { stream, exchange } = open();
  stream.stuck = true;
  const sending = exchange.send(answer);
  stream.emit("cancelled");
  await assert.rejects(sending, { code: "unavailable/peer-gone" });
});
