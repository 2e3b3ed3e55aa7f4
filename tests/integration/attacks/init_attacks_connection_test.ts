/**
 * Attacks on the connection of an Init: on the InitServer and on `bootstrapper init`. An attack that relays evidence is
 * made for each kind; the others end before any evidence is made. After every attack the operator has signed only the
 * hello, and the node is not locked and has no key on disk.
 *
 * @module
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import { dial } from "../../../channel/client.ts";
import { Exchange } from "../../../channel/exchange.ts";
import { bindingOf, clientTlsOptions, serverTlsOptions } from "../../../channel/finished.ts";
import { listen } from "../../../channel/server.ts";
import { readInitRequest } from "../../../protocol/init_request.ts";
import { helloStatement } from "../../../protocol/transcript.ts";
import { createCertificateAuthority } from "../../../certificate/ca.ts";
import { sign } from "../../../protocol/signature.ts";
import { createThrowAwayCertificate } from "../../../certificate/throw_away.ts";
import type { InitClientDeadlines } from "../../../operator/exchange_client.ts";
import { INIT_CLIENT_DEADLINES, verifyNode } from "../../../operator/exchange_client.ts";
import { proposeAndAuthorise, receiveHello } from "../../../init/exchange_server.ts";
import { InitWorld, TestOperator, trustIn } from "../../exchanges/init_world.ts";
import { ShownMachine } from "../../exchanges/init_machine.ts";
import { TestCluster } from "../../exchanges/join_world.ts";
import { measureTrust } from "../../../nodelock/measure.ts";
import { hex, randomBytes } from "../../../platform/bytes.ts";
import { systemClock } from "../../../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../../../platform/errors.ts";
import { InitClientMessage, InitServiceService, JoinServiceService } from "../../../proto/gen/bootstrapper.ts";
import type { JoinClientMessage, JoinServerMessage } from "../../../proto/gen/bootstrapper.ts";
import { connectSilently, connectTls, cutOff, openStreams, PATIENCE_MS, terminateTls } from "./attacks.ts";
import type { OperatorPlay, Script } from "./init_attacks.ts";
import {
  assertFresh,
  initByHand,
  playNode,
  refusedByNode,
  refusedByOperator,
  startHostileNode,
  untilClosed,
} from "./init_attacks.ts";
import { attack } from "./stopped_by.ts";
import { variantTest } from "./variants.ts";

/** Asserts that the operator signed exactly this number of hellos and nothing else, and recorded nothing. */
async function assertOnlyHellos(operator: TestOperator, hellos: number): Promise<void> {
  assert.equal(operator.signatures, hellos, "more was signed than the hello");
  assert.equal(await operator.record(), undefined, "a cluster was recorded");
  assert.deepEqual(operator.kept, []);
}

Deno.test(attack("attack: relay, a TLS terminator stands between operator and node", receiveHello), async () => {
  // He terminates TLS on both sides, so each side has its own channel binding with him, and the hello's signature
  // contains the operator's binding. No evidence is made.
  await using world = await InitWorld.start();
  await using middle = await terminateTls(world.port);
  const { operatorKeys } = world.trust;
  await assert.rejects(world.operator.found(`127.0.0.1:${middle.port}`, { operatorKeys }), {
    code: "unauthorized/operator",
    message: "The peer refused: unauthorized/operator",
  });
  assert.ok(middle.passedOn > 0, "the attack's own machinery");
  await assertOnlyHellos(world.operator, 1);
  assert.equal(world.issued, 0, "evidence was made for him");
  await assertFresh(world);
});

await variantTest(
  ({ stoppers }) =>
    attack(
      "attack: relay, a TLS terminator relays the evidence of a node that does not look at the hello",
      ...[verifyNode, stoppers.statement] as const,
    ),
  async (_t, variant) => {
    // The node's evidence is genuine and answers the operator's own nonce and key, but A1 contains the binding of the
    // node's connection with him.
    await using machine = await variant.start();
    await using operator = await TestOperator.create();
    const trust = trustIn(operator.keys);
    await measureTrust(machine.issuer, trust);
    await using node = await startHostileNode(async (session, { operatorKey, clientNonce }) => {
      const hello = { operatorKey: Uint8Array.from(operatorKey), clientNonce: Uint8Array.from(clientNonce) };
      const ca = await createCertificateAuthority(new Date());
      await proposeAndAuthorise(session, hello, { ca }, { issuer: machine.issuer, trust, clock: systemClock });
    });
    await using middle = await terminateTls(node.port);
    const verifier = variant.verifierFor(machine);
    const code = `refused/${variant.checks.statement}`;
    await assert.rejects(operator.found(`127.0.0.1:${middle.port}`, { verifier }), { code });
    assert.ok(middle.passedOn > 0, "the attack's own machinery");
    await assertOnlyHellos(operator, 1);
  },
);

const oldTls = attack(
  "attack: downgrade to TLS 1.2, of the node and of the operator",
  serverTlsOptions,
  clientTlsOptions,
);
Deno.test(oldTls, async () => {
  await using world = await InitWorld.start();
  await assert.rejects(connectTls(world.port, { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" }));
  const certificate = await createThrowAwayCertificate();
  const old = createServer({ ...serverTlsOptions(certificate), minVersion: "TLSv1.2", maxVersion: "TLSv1.2" });
  old.on("tlsClientError", () => {});
  old.listen(0, "127.0.0.1");
  await once(old, "listening");
  const { port } = old.address() as AddressInfo;
  await assert.rejects(world.operator.found(`127.0.0.1:${port}`), { code: "unavailable/init-server" });
  old.close();
  await assertOnlyHellos(world.operator, 0);
  await assertFresh(world);
});

Deno.test(attack("attack: a TLS session with the node is resumed", bindingOf), async () => {
  // A resumed session has no fresh key exchange, so the connection ends.
  await using world = await InitWorld.start();
  const options = { servername: `${hex(randomBytes(8))}.invalid` };
  const first = await connectTls(world.port, options);
  // The session ticket arrives before the node's first bytes.
  await once(first, "data", { signal: AbortSignal.timeout(PATIENCE_MS) });
  first.destroy();
  const second = await connectTls(world.port, options);
  let received = 0;
  second.on("data", ({ length }: Uint8Array) => received += length);
  assert.ok(second.isSessionReused(), "the attack's own machinery");
  await cutOff(second);
  assert.equal(received, 0);
  assert.equal(world.issued, 0);
  await assertFresh(world);
});

Deno.test(attack("attack: a second stream on the connection of an operator", listen), async () => {
  // Two exchanges would share one binding. A connection may have only one stream, and ends when a second one is opened.
  await using world = await InitWorld.start();
  const { keys } = world.operator;
  const hello = async (socket: Parameters<typeof bindingOf>[0]) => {
    const clientNonce = randomBytes(32);
    const signature = await sign(keys, "hello", await helloStatement(await bindingOf(socket, "client"), clientNonce));
    const message = { $case: "hello", hello: { clientNonce, operatorKey: keys.spki, signature } } as const;
    return InitClientMessage.encode({ message }).finish();
  };
  const { path } = InitServiceService.init;
  assert.deepEqual(await openStreams(world.port, path, hello, 1), [true], "the attack's own machinery");
  const [, second] = await openStreams(world.port, path, hello, 2);
  assert.equal(second, false, "the second stream was served");
  await assertFresh(world);
});

const otherService = attack(
  "attack: cross-protocol, a node's Join call at the InitServer, and an operator's Init call at the join service",
  listen,
);
Deno.test(otherService, async () => {
  // Each service of the contract has its own listener, which knows no other method.
  await using world = await InitWorld.start();
  using dialled = await dial<JoinServerMessage, JoinClientMessage>({
    method: JoinServiceService.join,
    endpoint: world.endpoint,
    connectDeadlineMs: PATIENCE_MS,
  });
  await dialled.exchange.send({ message: { $case: "hello", hello: { clientNonce: randomBytes(32) } } }).catch(() => {});
  await assert.rejects(dialled.exchange.receive("proposal", PATIENCE_MS), BootstrapError);
  assert.equal(world.issued, 0);
  await assertFresh(world);

  await using cluster = await TestCluster.create();
  await assert.rejects(world.operator.found(`127.0.0.1:${cluster.port}`), BootstrapError);
  await assertOnlyHellos(world.operator, 1);
  assert.deepEqual([cluster.signed, cluster.admissions.records], [[], []]);
});

Deno.test(attack("attack: an operator stalls at each step", listen, Exchange), async (t) => {
  // Every open connection has a deadline, and so does every message.
  const deadlines = { helloMs: 500, answerMs: 500 };
  await using world = await InitWorld.start({ deadlines });
  const silent = Promise.all([
    connectSilently(world.port).then(cutOff),
    connectTls(world.port, {}).then(cutOff),
  ]);
  for (const step of ["hello", "challenge", "request"] as const) {
    await t.step(`before the ${step}`, async () => {
      const before: OperatorPlay["before"] = (next, exchange) =>
        next === step ? untilClosed(exchange) : Promise.resolve();
      await refusedByNode(world, { before }, "timeout/peer");
    });
  }
  await t.step("before TLS, and before its stream", async () => {
    await silent;
  });
  await assertFresh(world);
});

Deno.test(attack("attack: a node stalls at each step", Exchange), async (t) => {
  await using operator = await TestOperator.create();
  const machine = new ShownMachine();
  await measureTrust(machine, trustIn(operator.keys));
  const stall: Script = ({ exchange }) => untilClosed(exchange);
  const steps: readonly (readonly [string, Partial<InitClientDeadlines>, Script])[] = [
    ["before the proposal", { proposalMs: 200 }, stall],
    ["before the activation", { activationMs: 200 }, async (session, hello, received) => {
      await playNode(session, hello, { evidence: (a1) => machine.issue(a1) }, received);
      await stall(session, hello, received);
    }],
  ];
  for (const [name, deadline, play] of steps) {
    await t.step(name, async () => {
      const deadlines = { ...INIT_CLIENT_DEADLINES, ...deadline };
      await refusedByOperator(operator, play, "timeout/peer", { deadlines });
    });
  }
});

Deno.test("attack: oversized messages", async (t) => {
  await using world = await InitWorld.start();
  await t.step(attack("larger than any message, to the node", listen), async () => {
    const message = {
      request: new Uint8Array(300 * 1024),
      signature: new Uint8Array(64),
      founding: undefined,
      heard: 0,
    };
    const error = await initByHand(world, { message: () => message }).catch(asBootstrapError);
    assert.ok(error instanceof BootstrapError);
    await assertFresh(world);
  });
  await t.step(attack("larger than any document, to the node", readInitRequest), async () => {
    const clusterDocument = "#".repeat(64 * 1024 + 1);
    await assert.rejects(initByHand(world, { request: { clusterDocument } }), { code: "malformed/init-request" });
    await assertFresh(world);
  });
  await t.step(attack("larger than any message, to the operator", dial), async () => {
    await using operator = await TestOperator.create();
    const payload = new Uint8Array(300 * 1024);
    const evidence = () => Promise.resolve({ variant: "tpm", payload });
    await using node = await startHostileNode(async (session, hello, received) => {
      await playNode(session, hello, { evidence }, received).catch(() => {});
    });
    await assert.rejects(operator.found(node.endpoint), BootstrapError);
    await assertOnlyHellos(operator, 1);
  });
});
