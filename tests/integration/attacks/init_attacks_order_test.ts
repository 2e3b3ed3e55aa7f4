/**
 * Attacks on an Init with messages that come twice, in another order, or after the end. They depend on the kind of
 * evidence only by the activation, which a TPM has, so a machine with a challenge stands for all kinds. There must be
 * no second cluster, and a message that comes too early must leave nothing on disk.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createFounding } from "../../../protocol/founding.ts";
import { initA1, initA2 } from "../../../protocol/transcript.ts";
import { sign } from "../../../protocol/signature.ts";
import { Exchange } from "../../../channel/exchange.ts";
import { proposeAndAuthorise } from "../../../init/exchange_server.ts";
import { InitServer } from "../../../init/init_server.ts";
import { awaitResult, INIT_CLIENT_DEADLINES } from "../../../operator/exchange_client.ts";
import { CLUSTER_NAME, InitWorld, sayHello, TestOperator, trustIn } from "../../exchanges/init_world.ts";
import { ShownMachine } from "../../exchanges/init_machine.ts";
import { measureTrust } from "../../../nodelock/measure.ts";
import { copyOf, randomBytes } from "../../../platform/bytes.ts";
import { InitRequest } from "../../../proto/gen/bootstrapper.ts";
import type { InitClientMessage } from "../../../proto/gen/bootstrapper.ts";
import { PATIENCE_MS } from "./attacks.ts";
import type { InitStep, OperatorPlay } from "./init_attacks.ts";
import {
  assertFresh,
  honestly,
  initByHand,
  newRequest,
  playNode,
  refusedByNode,
  resultFor,
  signedResult,
  startHostileNode,
} from "./init_attacks.ts";
import { attack } from "./stopped_by.ts";

const ACKNOWLEDGEMENT: InitClientMessage = { message: { $case: "acknowledgement", acknowledgement: {} } };
const CHALLENGE: InitClientMessage = {
  message: { $case: "challenge", challenge: { credentialBlob: randomBytes(32), encryptedSecret: new Uint8Array() } },
};
const REQUEST: InitClientMessage = {
  message: {
    $case: "request",
    request: { request: randomBytes(32), signature: randomBytes(64), founding: undefined, heard: 0 },
  },
};

/** Sends further messages directly before a message of the protocol. */
function inserted(at: InitStep, message: (sent: readonly InitClientMessage[]) => InitClientMessage | undefined) {
  const sent: InitClientMessage[] = [];
  const before: OperatorPlay["before"] = async (step, exchange) => {
    const more = step === at ? message(sent) : undefined;
    if (more !== undefined) await exchange.send(more).catch(() => {});
  };
  return { sent, before };
}

Deno.test(attack("attack: messages to a node that come twice, too early or in another order", Exchange), async (t) => {
  // The node accepts only the next message of the protocol.
  await using world = await InitWorld.start();
  const attacks: readonly (readonly [name: string, play: OperatorPlay])[] = [
    ["a challenge before the hello", inserted("hello", () => CHALLENGE)],
    ["a request before the hello", inserted("hello", () => REQUEST)],
    ["an empty message before the hello", inserted("hello", () => ({ message: undefined }))],
    ["the hello twice", inserted("challenge", (sent) => sent.at(-1))],
    ["a request before the challenge", inserted("challenge", () => REQUEST)],
    ["the challenge twice", inserted("request", (sent) => sent.at(-1))],
    ["an acknowledgement before the request", inserted("request", () => ACKNOWLEDGEMENT)],
    ["the hello again before the request", inserted("request", (sent) => sent.at(0))],
  ];
  for (const [name, play] of attacks) {
    await t.step(name, async () => {
      await refusedByNode(world, play, "protocol/order");
    });
  }
});

const secondRequest = attack(
  "attack: a second request on one stream, to a node that is locked by the first",
  InitServer,
);
Deno.test(secondRequest, async () => {
  // A request is read once. After it only the acknowledgement is accepted.
  const goOn = Promise.withResolvers<void>();
  await using world = await InitWorld.start({ onFound: () => goOn.promise });
  const play = inserted("acknowledgement", (sent) => sent.at(-1));
  const first = initByHand(world, play);
  goOn.resolve();
  await first;
  // It does not count as an acknowledgement either: the node still waits for its operator.
  const state = world.lock.state();
  assert(state.name === "locked");
  assert.equal(world.foundings, 1);
  const isServed = await Promise.race([world.served.then(() => true), initByHand(world).then(() => true, () => false)]);
  assert.ok(!isServed, "another operation was accepted");
  assert.equal(world.foundings, 1);
});

Deno.test(attack("attack: messages to a node after the end", InitServer), async () => {
  // The exchange is over: the messages are not read, and the server is gone.
  await using world = await InitWorld.start();
  const play: OperatorPlay = {
    before: async (step, exchange) => {
      if (step !== "acknowledgement") return;
      await exchange.send(ACKNOWLEDGEMENT);
      for (const message of [REQUEST, ACKNOWLEDGEMENT, CHALLENGE]) await exchange.send(message).catch(() => {});
    },
  };
  await initByHand(world, play);
  await world.served;
  assert.equal(world.foundings, 1);
  await assert.rejects(world.dial());
});

Deno.test(attack("attack: messages to an operator after the result", awaitResult), async () => {
  // The operator accepts one result, and reads nothing that follows it.
  await using operator = await TestOperator.create();
  const machine = new ShownMachine();
  await measureTrust(machine, trustIn(operator.keys));
  await using node = await startHostileNode(async (session, hello, received) => {
    const authority = await playNode(session, hello, honestly(machine), received);
    const { request } = await session.exchange.receive("request", PATIENCE_MS);
    const result = await resultFor(authority, InitRequest.decode(request).adminKey);
    const other = { ...result, apiEndpoints: ["192.0.2.66:6443"], nodeName: "n66" };
    for (const one of [result, other]) {
      await session.exchange.send(await signedResult(one, authority, request)).catch(() => {});
    }
  });
  await operator.found(node.endpoint, { deadlines: INIT_CLIENT_DEADLINES });
  assert.deepEqual(operator.kept.map(({ nodeName, apiEndpoints }) => [nodeName, apiEndpoints]), [
    ["n1", ["192.0.2.1:6443"]],
  ]);
  assert.equal((await operator.record())?.state, "founded");
});

const allAtOnce = attack("attack: a whole Init is sent at once, without waiting for the node", proposeAndAuthorise);
Deno.test(allAtOnce, async () => {
  // An operator that does not wait has no nonce of the node, so its signatures do not cover this connection.
  await using world = await InitWorld.start();
  const { keys } = world.operator;
  using dialled = await world.dial();
  const { exchange } = dialled;
  const guess = { serverNonce: new Uint8Array(32), clusterId: new Uint8Array(32) };
  const clientNonce = await sayHello(dialled, keys);
  const a1 = await initA1({ ...guess, binding: exchange.binding, clientNonce, operatorKey: keys.spki });
  const request = copyOf(InitRequest.encode(await newRequest()).finish());
  const signature = await sign(keys, "request", await initA2(a1, request));
  const founding = await createFounding(keys, guess.clusterId, CLUSTER_NAME);
  // The refusal may arrive before all messages were sent, or read.
  const all = async () => {
    await exchange.send(CHALLENGE);
    await exchange.send({ message: { $case: "request", request: { request, signature, founding, heard: 0 } } });
    await exchange.send(ACKNOWLEDGEMENT);
    await exchange.receive("proposal", PATIENCE_MS);
    await exchange.receive("activation", PATIENCE_MS);
    await exchange.receive("progress", PATIENCE_MS);
  };
  await assert.rejects(all, { code: "refused/signature" });
  await assertFresh(world);
});
