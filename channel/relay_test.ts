import assert from "node:assert/strict";
import { join } from "node:path";
import { untilAborted } from "../platform/abortable.ts";
import { systemClock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createLog, silentLog } from "../platform/log.ts";
import { JoinClientMessage, JoinServerMessage, JoinServiceService } from "../proto/gen/bootstrapper.ts";
import { dial } from "./client.ts";
import { listenAtFront } from "./relay_front.ts";
import { openRelaySocket, serveRelayed } from "./relay_server.ts";
import type { RelayServer, RelayServerOptions } from "./relay_server.ts";
import type { ChannelServer } from "./server.ts";
import { FrontProcess } from "./testing/front_process.ts";

const PATIENCE_MS = 20_000;
const SERVICE = 7;
const hello: JoinClientMessage = { message: { $case: "hello", hello: { clientNonce: new Uint8Array(32).fill(3) } } };
const outcome: JoinClientMessage = { message: { $case: "outcome", outcome: { locked: true } } };
const challenge: JoinServerMessage = {
  message: { $case: "challenge", challenge: { credentialBlob: Uint8Array.of(1), encryptedSecret: Uint8Array.of(2) } },
};
const binding = new Uint8Array(32).fill(9);

type Options = RelayServerOptions<JoinClientMessage, JoinServerMessage>;

/** A process behind a front, and a front before it if the test does not take its place. */
class Relay implements AsyncDisposable {
  readonly events: Record<string, unknown>[] = [];

  private constructor(readonly folder: string, readonly path: string) {}

  server: RelayServer | undefined;
  front: ChannelServer | undefined;

  static async create(handle: Options["handle"], changes: Partial<Options> = {}): Promise<Relay> {
    const folder = await Deno.makeTempDir({ prefix: "relay-" });
    const relay = new Relay(folder, join(folder, "s.sock"));
    relay.server = serveRelayed<JoinClientMessage, JoinServerMessage>({
      listener: await openRelaySocket(relay.path),
      method: JoinServiceService.join,
      serviceNumber: SERVICE,
      maximumExchanges: 8,
      maximumMessageLength: 1024,
      maximumBytes: 64 * 1024,
      exchangeDeadlineMs: PATIENCE_MS,
      clock: systemClock,
      log: createLog(systemClock, (line) => relay.events.push(JSON.parse(line))),
      handle,
      ...changes,
    });
    return relay;
  }

  /** Starts the front, and dials it. */
  async dial() {
    this.front ??= await listenAtFront({
      path: this.path,
      service: JoinServiceService,
      serviceNumber: SERVICE,
      ...{ host: "127.0.0.1", port: 0, maximumConnections: 8, maximumMessageLength: 1024, log: silentLog },
    });
    return await dial<JoinServerMessage, JoinClientMessage>({
      method: JoinServiceService.join,
      endpoint: `127.0.0.1:${this.front.port}`,
      connectDeadlineMs: PATIENCE_MS,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.front?.close();
    await this.server?.[Symbol.asyncDispose]();
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("an exchange passes through a front: messages both ways, the binding of the peer's own connection, the end", async () => {
  const seen: Uint8Array[] = [];
  await using relay = await Relay.create(async ({ exchange }) => {
    seen.push(exchange.binding, (await exchange.receive("hello", PATIENCE_MS)).clientNonce);
    await exchange.send(challenge);
    await exchange.receive("outcome", PATIENCE_MS);
  });
  using dialled = await relay.dial();
  await dialled.exchange.send(hello);
  const { credentialBlob } = await dialled.exchange.receive("challenge", PATIENCE_MS);
  assert.deepEqual(new Uint8Array(credentialBlob), Uint8Array.of(1));
  await dialled.exchange.send(outcome);
  await dialled.finish();
  assert.deepEqual(seen.map((bytes) => new Uint8Array(bytes)), [
    new Uint8Array(dialled.exchange.binding),
    new Uint8Array(32).fill(3),
  ]);
});

Deno.test("a peer's last message passes through a front although the peer ends with it", async () => {
  for (let round = 0; round < 5; round++) {
    const heard = Promise.withResolvers<string>();
    await using relay = await Relay.create(async ({ exchange }) => {
      await exchange.receive("hello", PATIENCE_MS);
      await exchange.send(challenge);
      // Both are at the front by then: the message and the end.
      await systemClock.sleep(50);
      await exchange.receive("outcome", PATIENCE_MS).then(
        () => heard.resolve("heard"),
        ({ code }) => heard.resolve(code),
      );
    });
    using dialled = await relay.dial();
    await dialled.exchange.send(hello);
    await dialled.exchange.receive("challenge", PATIENCE_MS);
    dialled.exchange.send(outcome);
    await dialled.finish();
    assert.equal(await heard.promise, "heard");
  }
});

Deno.test("a refusal passes through a front as the process behind it made it, for the audience that it chose", async () => {
  for (const explains of [false, true]) {
    await using relay = await Relay.create(async ({ exchange, explainRefusals }) => {
      await exchange.receive("hello", PATIENCE_MS);
      if (explains) explainRefusals();
      throw new BootstrapError("conflict/node-name", "The name is another machine's", { next: "Take another" });
    });
    using dialled = await relay.dial();
    await dialled.exchange.send(hello);
    const refused = await dialled.exchange.receive("challenge", PATIENCE_MS).catch((error: unknown) => error);
    assert.ok(refused instanceof BootstrapError);
    assert.equal(refused.code, "conflict/node-name");
    assert.equal(refused.next, explains ? "Take another" : "");
    assert.equal(relay.events.filter(({ event }) => event === "exchange-refused").length, 1);
  }
});

Deno.test("what the peer hangs up ends behind the front, and what ends behind it ends at the peer", async () => {
  const [heard, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<unknown>()];
  await using relay = await Relay.create(async ({ exchange }) => {
    await exchange.receive("hello", PATIENCE_MS);
    heard.resolve();
    await exchange.receive("outcome", PATIENCE_MS).catch((error) => gone.resolve(error.code));
  });
  using dialled = await relay.dial();
  await dialled.exchange.send(hello);
  await heard.promise;
  dialled[Symbol.dispose]();
  assert.equal(await gone.promise, "unavailable/peer-gone");
  using other = await relay.dial();
  await other.exchange.send(hello);
  const waiting = other.exchange.receive("challenge", PATIENCE_MS);
  await relay.server?.[Symbol.asyncDispose]();
  await assert.rejects(waiting, { code: "unavailable/relay" });
});

Deno.test("a front refuses its peers retriably while the process behind it is not there", async () => {
  await using relay = await Relay.create(() => Promise.resolve());
  await relay.server?.[Symbol.asyncDispose]();
  using dialled = await relay.dial();
  await dialled.exchange.send(hello);
  await assert.rejects(dialled.exchange.receive("challenge", PATIENCE_MS), {
    code: "unavailable/relay",
    retriable: true,
  });
});

Deno.test("a peer's message waits at the front until it is wanted", async () => {
  const first = Promise.withResolvers<void>();
  const proceed = Promise.withResolvers<void>();
  await using relay = await Relay.create(async ({ exchange }) => {
    await exchange.receive("hello", PATIENCE_MS);
    first.resolve();
    await proceed.promise;
    await exchange.receive("outcome", PATIENCE_MS);
    assert.equal(exchange.received, 2);
  });
  using dialled = await relay.dial();
  await dialled.exchange.send(hello);
  await dialled.exchange.send(outcome);
  await first.promise;
  proceed.resolve();
  await dialled.finish();
});

Deno.test("a front that sends what was not asked for ends its exchange", async () => {
  const seen = Promise.withResolvers<unknown>();
  await using relay = await Relay.create(async ({ exchange }) => {
    await untilAborted(exchange.closed).catch(() => {});
    seen.resolve(exchange.closed.reason.code);
  });
  using front = await FrontProcess.exchange(relay.path, { service: SERVICE, binding });
  await front.say(JoinClientMessage.encode(hello).finish());
  assert.equal(await seen.promise, "malformed/relay-frame");
});

Deno.test("serveRelayed() refuses bytes that are no message, and another service than its own", async () => {
  await using relay = await Relay.create(async ({ exchange }) => {
    await exchange.receive("hello", PATIENCE_MS);
  });
  {
    using front = await FrontProcess.exchange(relay.path, { service: SERVICE, binding });
    await front.frame("await");
    await front.say(Uint8Array.of(0x0a, 0xff));
    assert.equal((await front.frame("refused"))?.text, "malformed/message");
  }
  using front = await FrontProcess.exchange(relay.path, { service: SERVICE + 1, binding });
  assert.equal((await front.frame("refused"))?.text, "malformed/relay-frame");
});

Deno.test("serveRelayed() has totals of its own: exchanges at once, and bytes that are held", async () => {
  await using relay = await Relay.create(async ({ exchange }) => {
    await exchange.receive("hello", PATIENCE_MS);
    await exchange.receive("outcome", PATIENCE_MS);
  }, { maximumExchanges: 2, maximumBytes: 1000 });
  using first = await FrontProcess.exchange(relay.path, { service: SERVICE, binding });
  using second = await FrontProcess.exchange(relay.path, { service: SERVICE, binding });
  for (const front of [first, second]) await front.frame("await");
  assert.equal(relay.server?.underWay, 2);
  {
    using third = await FrontProcess.exchange(relay.path, { service: SERVICE, binding });
    assert.equal((await third.frame("refused"))?.text, "unavailable/busy");
  }
  const large: JoinClientMessage = { message: { $case: "hello", hello: { clientNonce: new Uint8Array(700) } } };
  await first.say(JoinClientMessage.encode(large).finish());
  await first.frame("await");
  await second.say(JoinClientMessage.encode(large).finish());
  assert.equal((await second.frame("refused"))?.text, "unavailable/busy");
});

Deno.test("serveRelayed() bounds each kind of message, and counts none of the small frames in its total", async () => {
  await using relay = await Relay.create(async ({ exchange }) => {
    await exchange.receive("hello", PATIENCE_MS);
    await exchange.receive("activation", PATIENCE_MS);
    await exchange.receive("outcome", PATIENCE_MS);
  }, { maximumLengths: { hello: 64, outcome: 64 }, maximumBytes: 1000 });
  const padded = (message: JoinClientMessage, length: number) => {
    const encoded = JoinClientMessage.encode(message).finish();
    // An unknown field, which readers skip: number 15, of some bytes.
    const padding = length - encoded.length - 3;
    return Uint8Array.of(...encoded, 0x7a, 0x80 | padding & 0x7f, padding >> 7, ...new Uint8Array(padding));
  };
  const activation: JoinClientMessage = { message: { $case: "activation", activation: { hmac: new Uint8Array(32) } } };
  {
    using front = await FrontProcess.exchange(relay.path, { service: SERVICE, binding });
    await front.frame("await");
    await front.say(padded(hello, 700));
    assert.equal((await front.frame("refused"))?.text, "protocol/message-size");
  }
  using large = await FrontProcess.exchange(relay.path, { service: SERVICE, binding });
  await large.frame("await");
  await large.say(JoinClientMessage.encode(hello).finish());
  await large.frame("await");
  await large.say(padded(activation, 1000));
  await large.frame("await");
  // The total is used up by now.
  using small = await FrontProcess.exchange(relay.path, { service: SERVICE, binding });
  await small.frame("await");
  await small.say(JoinClientMessage.encode(hello).finish());
  assert.ok(await small.frame("await"));
  await large.say(padded(outcome, 700));
  assert.equal((await large.frame("refused"))?.text, "protocol/message-size");
});

Deno.test("serveRelayed() ends an exchange at its deadline, but not while it awaits a message that counts apart", async () => {
  const apart = Promise.withResolvers<void>();
  await using relay = await Relay.create(async ({ exchange }) => {
    const { kind } = await exchange.receiveAny(["hello", "activation"], PATIENCE_MS);
    if (kind === "hello") await exchange.receive("outcome", PATIENCE_MS);
    apart.resolve();
  }, { exchangeDeadlineMs: 50, apart: ["outcome"] });
  {
    using front = await FrontProcess.exchange(relay.path, { service: SERVICE, binding });
    assert.equal((await front.frame("refused"))?.text, "timeout/exchange");
  }
  using front = await FrontProcess.exchange(relay.path, { service: SERVICE, binding });
  await front.frame("await");
  await front.say(JoinClientMessage.encode(hello).finish());
  await front.frame("await");
  // Another exchange begins later, and has ended by its deadline.
  using later = await FrontProcess.exchange(relay.path, { service: SERVICE, binding });
  assert.equal((await later.frame("refused"))?.text, "timeout/exchange");
  await front.say(JoinClientMessage.encode(outcome).finish());
  await apart.promise;
  assert.ok(await front.frame("ended"));
});

Deno.test("serveRelayed() hears on which port its front listens", async () => {
  const heard = Promise.withResolvers<number>();
  await using relay = await Relay.create(() => Promise.resolve(), { onListening: heard.resolve });
  using front = await FrontProcess.connect(relay.path);
  await front.connection.write({ kind: "listening", port: 9443 });
  assert.equal(await heard.promise, 9443);
});

Deno.test("openRelaySocket() takes the place of a killed process's socket, and leaves it to the folder who may connect", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "s.sock");
  Deno.listen({ transport: "unix", path }).close();
  await Deno.writeTextFile(path, "left over").catch(() => {});
  using _listener = await openRelaySocket(path);
  assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o666);
  await assert.rejects(openRelaySocket(join(folder, "none/s.sock")), { code: "system/listen" });
  await Deno.remove(folder, { recursive: true });
});
