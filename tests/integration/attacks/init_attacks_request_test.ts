/**
 * Attacks on the InitServer with a caller's messages: by strangers, by insiders, and with recorded messages. The caller
 * shows no evidence, so no attack depends on its kind. After every attack the node is not locked, has no key on disk
 * and has made no cluster; a stranger has received no evidence either.
 *
 * @module
 */
import assert from "node:assert/strict";
import { proposeAndAuthorise, receiveHello } from "../../../init/exchange_server.ts";
import { InitServer } from "../../../init/init_server.ts";
import { InitTurns } from "../../../init/turn.ts";
import { verifyNode } from "../../../operator/exchange_client.ts";
import { checkClockSkew } from "../../../platform/clock_skew.ts";
import { readInitRequest, sameOperation } from "../../../protocol/init_request.ts";
import { checkFounding, createFounding } from "../../../protocol/founding.ts";
import { foundingStatement, helloStatement } from "../../../protocol/transcript.ts";
import { clusterIdText, readClusterId } from "../../../certificate/cluster_id.ts";
import { generateKeyPair } from "../../../certificate/keys.ts";
import { sign } from "../../../protocol/signature.ts";
import { CLUSTER_NAME, InitWorld, sayHello, TestOperator } from "../../exchanges/init_world.ts";
import { hex, randomBytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { InitClientMessage, InitServerMessage, SignedInitRequest } from "../../../proto/gen/bootstrapper.ts";
import { PATIENCE_MS } from "./attacks.ts";
import type { OperatorPlay } from "./init_attacks.ts";
import { OTHER_LABELS, signOfVersion } from "./statements.ts";
import type { Stopper } from "./stopped_by.ts";
import { attack } from "./stopped_by.ts";
import { assertFresh, initByHand, newRequest, refusedByNode, refusedByOperator } from "./init_attacks.ts";

Deno.test("an honest operator by hand founds a cluster", async () => {
  // Without this test the attacks below would prove nothing.
  await using world = await InitWorld.start();
  const { nodeName } = await initByHand(world);
  await world.served;
  assert.deepEqual([nodeName, world.foundings, world.lock.state().name], ["n1", 1, "locked"]);
});

Deno.test(attack("attack: costly evidence, a hello by a stranger", receiveHello), async (t) => {
  // A stranger only learns the code, and no evidence is made for it.
  await using world = await InitWorld.start();
  const stranger = await generateKeyPair("ed25519");
  const { keys: operator } = world.operator;
  const attacks: Readonly<Record<string, OperatorPlay>> = {
    "with a key of its own": { keys: stranger },
    "that claims the operator's key": { keys: { ...stranger, spki: operator.spki } },
    "with a key of another kind": { keys: await generateKeyPair("p-256") },
    "without a key": { hello: (honest) => ({ ...honest, operatorKey: new Uint8Array() }) },
    "without a signature": { hello: (honest) => ({ ...honest, signature: new Uint8Array() }) },
    "with another nonce than was signed": { hello: (honest) => ({ ...honest, clientNonce: randomBytes(32) }) },
    // Short nonces would repeat.
    "without a nonce, signed as it is": {
      async hello(honest, binding) {
        const clientNonce = new Uint8Array();
        const signature = await sign(operator, "hello", await helloStatement(binding, clientNonce));
        return { ...honest, clientNonce, signature };
      },
    },
    "signed by the operator for another connection": {
      async hello(honest) {
        const statement = await helloStatement(randomBytes(32), honest.clientNonce);
        return { ...honest, signature: await sign(operator, "hello", statement) };
      },
    },
    // Downgrade: signedBytes() contains the label, which is the protocol's version.
    ...Object.fromEntries(
      OTHER_LABELS.map((label): [string, OperatorPlay] => [`signed by the operator for the protocol "${label}"`, {
        async hello(honest, binding) {
          const statement = await helloStatement(binding, honest.clientNonce);
          return { ...honest, signature: await signOfVersion(operator, label, "hello", statement) };
        },
      }]),
    ),
    // A signature for one purpose is invalid for another, as signedBytes() contains the tag.
    "signed by the operator as something else": {
      async hello(honest, binding) {
        const statement = await helloStatement(binding, honest.clientNonce);
        return { ...honest, signature: await sign(operator, "request", statement) };
      },
    },
  };
  for (const [name, play] of Object.entries(attacks)) {
    await t.step(name, async () => {
      const error = await refusedByNode(world, play, "unauthorized/operator");
      assert.equal(error.message, "The peer refused: unauthorized/operator");
      assert.deepEqual([error.next, error.details], ["", { saidBy: "peer" }]);
    });
  }
  assert.equal(world.issued, 0, "evidence was made for a stranger");
});

const wholeReplay = attack(
  "attack: replay of a whole recorded Init, to another node and to the operator",
  receiveHello,
  verifyNode,
);
Deno.test(wholeReplay, async () => {
  // Every signed value, and the evidence, contains the nonces and the binding of its connection.
  const sent: InitClientMessage[] = [];
  const received: InitServerMessage[] = [];
  await using recorded = await InitWorld.start();
  await initByHand(recorded, { sent, received });
  await recorded.served;
  assert.deepEqual(sent.map(({ message }) => message?.$case), ["hello", "challenge", "request", "acknowledgement"]);

  await using world = await InitWorld.start({ operator: recorded.operator });
  using dialled = await world.dial();
  for (const message of sent) await dialled.exchange.send(message).catch(() => {});
  await assert.rejects(dialled.exchange.receive("proposal", PATIENCE_MS), { code: "unauthorized/operator" });
  assert.equal(world.issued, 0);
  await assertFresh(world);

  await refusedByOperator(recorded.operator, async ({ exchange }) => {
    for (const message of received) await exchange.send(message).catch(() => {});
  }, "refused/statement");
});

const relayedFounding = attack(
  "attack: one operator of a node relays another's request and founding",
  proposeAndAuthorise,
);
Deno.test(relayedFounding, async () => {
  // An insider with a hello of his own. The request's signature must be by the key of the hello and over A2 of this
  // connection, and the founding must be signed by that key.
  await using insider = await TestOperator.create();
  await using other = await InitWorld.start();
  await using world = await InitWorld.start({ operator: other.operator, colleagues: [insider] });
  const sent: InitClientMessage[] = [];
  await initByHand(other, { sent });
  await other.served;
  const recorded = sent.map(({ message }) => message?.$case === "request" ? message.request : undefined)
    .find((request) => request !== undefined);
  assert.ok(recorded?.founding !== undefined);
  const { founding } = recorded;
  const { keys } = insider;
  await refusedByNode(world, { keys, message: () => recorded }, "refused/signature");
  await refusedByNode(world, { keys, founding: () => Promise.resolve(founding) }, "refused/founding-operator");
  const own = { keys, message: (honest: SignedInitRequest) => ({ ...honest, signature: recorded.signature }) };
  await refusedByNode(world, own, "refused/signature");
});

Deno.test("attack: a founding that is not the operator's, for this cluster", async (t) => {
  await using world = await InitWorld.start();
  const stranger = await generateKeyPair("ed25519");
  const { keys } = world.operator;
  type Row = readonly [name: string, stoppedBy: Stopper, founding: OperatorPlay["founding"] & object, code: string];
  const attacks: readonly Row[] = [
    [
      "by a stranger",
      proposeAndAuthorise,
      (id) => createFounding(stranger, id, CLUSTER_NAME),
      "refused/founding-operator",
    ],
    [
      "by a stranger that claims the operator's key",
      checkFounding,
      async (id) => ({ ...await createFounding(stranger, id, CLUSTER_NAME), operatorKey: keys.spki }),
      "refused/signature",
    ],
    [
      "for another cluster ID",
      checkFounding,
      () => createFounding(keys, randomBytes(32), CLUSTER_NAME),
      "refused/founding-cluster-id",
    ],
    [
      "for another cluster ID that claims this one",
      checkFounding,
      async (id) => ({ ...await createFounding(keys, randomBytes(32), CLUSTER_NAME), clusterId: id }),
      "refused/signature",
    ],
    ["for another cluster's name", checkFounding, (id) => createFounding(keys, id, "prod"), "refused/founding-name"],
    [
      "for another cluster's name that claims this one",
      checkFounding,
      async (id) => ({ ...await createFounding(keys, id, "prod"), clusterName: CLUSTER_NAME }),
      "refused/signature",
    ],
    [
      "signed for another purpose",
      checkFounding,
      async (id) => ({
        ...await createFounding(keys, id, CLUSTER_NAME),
        signature: await sign(keys, "request", foundingStatement(id, CLUSTER_NAME)),
      }),
      "refused/signature",
    ],
    ...OTHER_LABELS.map((label): Row => [
      `signed for the protocol "${label}"`,
      checkFounding,
      async (id) => ({
        ...await createFounding(keys, id, CLUSTER_NAME),
        signature: await signOfVersion(keys, label, "founding", foundingStatement(id, CLUSTER_NAME)),
      }),
      "refused/signature",
    ]),
    ["that is missing", proposeAndAuthorise, () => Promise.resolve(undefined), "malformed/init-request"],
  ];
  for (const [name, stoppedBy, founding, code] of attacks) {
    await t.step(attack(name, stoppedBy), async () => {
      await refusedByNode(world, { founding }, code);
    });
  }
});

Deno.test("attack: a request that is not the operator's, or cannot be carried out", async (t) => {
  await using world = await InitWorld.start();
  const attacks: readonly (readonly [name: string, stoppedBy: Stopper, play: OperatorPlay, code: string])[] = [
    // One signature covers all of these fields.
    [
      "changed after it was signed",
      proposeAndAuthorise,
      { message: (m) => ({ ...m, request: m.request.with(5, (m.request[5] ?? 0) ^ 1) }) },
      "refused/signature",
    ],
    [
      "longer than was signed",
      proposeAndAuthorise,
      { message: (m) => ({ ...m, request: Uint8Array.of(...m.request, 0x30, 1) }) },
      "refused/signature",
    ],
    [
      "without a signature",
      proposeAndAuthorise,
      { message: (m) => ({ ...m, signature: new Uint8Array() }) },
      "refused/signature",
    ],
    ["for another cluster's name", proposeAndAuthorise, { request: { clusterName: "prod" } }, "refused/cluster-name"],
    [
      "with a clock far ahead",
      checkClockSkew,
      { request: { timeMs: BigInt(Date.now() + 3_600_000) } },
      "precondition/clock-skew",
    ],
    ["with a clock far behind", checkClockSkew, { request: { timeMs: 0n } }, "precondition/clock-skew"],
    ["with a clock before all time", checkClockSkew, { request: { timeMs: -(2n ** 63n) } }, "precondition/clock-skew"],
    [
      "with a short operation ID",
      readInitRequest,
      { request: { operationId: new Uint8Array(15) } },
      "malformed/init-request",
    ],
    [
      "with an admin key that is none",
      readInitRequest,
      { request: { adminKey: randomBytes(91) } },
      "malformed/init-request",
    ],
    ["without documents", readInitRequest, { request: { clusterDocument: "" } }, "malformed/init-request"],
  ];
  for (const [name, stoppedBy, play, code] of attacks) {
    await t.step(attack(name, stoppedBy), async () => {
      await refusedByNode(world, play, code);
    });
  }
  await t.step(attack("before the challenge", proposeAndAuthorise), async () => {
    // The node answers a challenge first, so no operator can skip it.
    using dialled = await world.dial();
    await sayHello(dialled, world.operator.keys);
    await dialled.exchange.receive("proposal", PATIENCE_MS);
    const request = { request: randomBytes(32), signature: randomBytes(64), founding: undefined, heard: 0 };
    await dialled.exchange.send({ message: { $case: "request", request } });
    await assert.rejects(dialled.exchange.receive("activation", PATIENCE_MS), { code: "protocol/order" });
    await assertFresh(world);
  });
  await t.step(attack("instead of the hello", receiveHello), async () => {
    using dialled = await world.dial();
    const issued = world.issued;
    await dialled.exchange.send({ message: { $case: "acknowledgement", acknowledgement: {} } });
    await assert.rejects(dialled.exchange.receive("proposal", PATIENCE_MS), {
      code: "protocol/order",
      message: "The peer refused: protocol/order",
    });
    assert.equal(world.issued, issued);
    await assertFresh(world);
  });
});

const secondOperator = attack(
  "attack: state changes, another operator begins a second Init while one lasts",
  InitTurns,
);
Deno.test(secondOperator, async () => {
  // The first exchange is not disturbed, and no evidence is made for the second.
  await using insider = await TestOperator.create();
  const second = Promise.withResolvers<BootstrapError>();
  await using world = await InitWorld.start({
    colleagues: [insider],
    async preflight() {
      const issued = world.issued;
      second.resolve(await refusedByNode(world, { keys: insider.keys }, "unavailable/init-in-progress"));
      assert.equal(world.issued, issued);
    },
  });
  const cluster = await world.found();
  const error = await second.promise;
  assert.ok(error.retriable && error.next !== "");
  assert.deepEqual(world.lock.state().name, "locked");
  assert.deepEqual([world.foundings, world.operator.kept], [1, [cluster]]);
});

const twoProposals = attack(
  "attack: state changes, the same operator has two proposals of one fresh node at once",
  InitTurns,
);
Deno.test(twoProposals, async () => {
  // Two cluster IDs with evidence of one fresh machine would allow two foundings. enter() waits for the first exchange
  // to leave, and after hold() that exchange cannot be superseded.
  await using world = await InitWorld.start();
  const ended = Promise.withResolvers<unknown>();
  const first = initByHand(world, {
    async before(step) {
      if (step !== "request") return;
      using again = await world.dial();
      await sayHello(again, world.operator.keys);
      ended.resolve((await again.exchange.receive("proposal", PATIENCE_MS)).clusterId);
    },
  });
  await assert.rejects(first, { code: "aborted/superseded" });
  assert.ok(await ended.promise instanceof Uint8Array);
  await assertFresh(world);
});

Deno.test("attack: other operations and other operators at a node that is locked", async (t) => {
  // The node answers only the recorded operator's hello, and accepts only its request.
  await using insider = await TestOperator.create();
  const locked = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  await using world = await InitWorld.start({
    colleagues: [insider],
    onFound: () => (locked.resolve(), goOn.promise),
  });
  const request = await newRequest();
  const founding = initByHand(world, { request });
  await locked.promise;
  const state = world.lock.state();
  assert(state.name === "locked");
  const lockedId = clusterIdText(state.lock.clusterId);

  const refused = async (play: OperatorPlay, code: string) => {
    const error = await initByHand(world, play).then(() => assert.fail("it was accepted"), (error: unknown) => error);
    assert.ok(error instanceof BootstrapError && error.details["saidBy"] === "peer");
    assert.equal(error.code, code, error.message);
    assert.equal(world.foundings, 1);
    const now = world.lock.state();
    assert(now.name === "locked" && clusterIdText(now.lock.clusterId) === lockedId);
  };
  await t.step(attack("another operator", InitServer), async () => {
    const issued = world.issued;
    await refused({ keys: insider.keys }, "precondition/other-operator");
    assert.equal(world.issued, issued, "evidence was made for another operator");
  });
  const changes = {
    "another operation": { operationId: randomBytes(16) },
    "another admin key": { adminKey: (await generateKeyPair("p-256")).spki },
    "another cluster document": { clusterDocument: "kubernetesVersion: v1.99.0\n" },
    "another policy": { policyDocument: "version: 1 # looser\n" },
  };
  for (const [name, change] of Object.entries(changes)) {
    await t.step(attack(name, sameOperation), async () => {
      await refused({ request: { ...request, ...change } }, "precondition/other-operation");
    });
  }
  await t.step(attack("a founding of another cluster", checkFounding), async () => {
    const play = { request, founding: () => createFounding(world.operator.keys, randomBytes(32), CLUSTER_NAME) };
    await refused(play, "refused/founding-cluster-id");
  });
  await t.step("the recorded operation again, which is answered for the locked cluster", async () => {
    const again = initByHand(world, { request: { ...request, timeMs: BigInt(Date.now()) } });
    goOn.resolve();
    const [one, two] = await Promise.all([founding, again]);
    assert.equal(hex(one.caCertificate), hex(two.caCertificate));
    await world.served;
    assert.deepEqual(readClusterId(lockedId, "ID"), state.lock.clusterId);
    assert.equal(world.foundings, 1);
  });
});
