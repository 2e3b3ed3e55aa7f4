/**
 * Attacks on the connection of a Join. An attack that relays evidence is made for each kind; the others end before any
 * evidence is made, or are stopped before the evidence is read.
 *
 * @module
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { dial } from "../../../channel/client.ts";
import { Exchange } from "../../../channel/exchange.ts";
import { bindingOf, serverTlsOptions } from "../../../channel/finished.ts";
import { listen } from "../../../channel/server.ts";
import type { EvidenceIssuer } from "../../../attestation/evidence.ts";
import type { JoinExchangeService } from "../../../service/exchange_parts.ts";
import { checkProposal } from "../../../join/proposal.ts";
import { readRequest } from "../../../protocol/join_request.ts";
import { joinA2 } from "../../../protocol/transcript.ts";
import { serveJoin } from "../../../service/exchange_service.ts";
import { listenForJoins } from "../../../service/testing/join_listener.ts";
import { ask, dialService, newInsecureIssuer, newNode, newNodeKeys, TestCluster } from "../../exchanges/join_world.ts";
import { measureTrust } from "../../../nodelock/measure.ts";
import { copyOf, hex, randomBytes } from "../../../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../../../platform/errors.ts";
import { silentLog } from "../../../platform/log.ts";
import { InitServiceService, JoinClientMessage, JoinServiceService } from "../../../proto/gen/bootstrapper.ts";
import type {
  InitClientMessage,
  InitServerMessage,
  JoinServerMessage,
  SignedJoinRequest,
} from "../../../proto/gen/bootstrapper.ts";
import { connectSilently, connectTls, cutOff, openStreams, PATIENCE_MS, terminateTls } from "./attacks.ts";
import type { Hostility } from "./join_attacks.ts";
import { assertUntouched, firstFailure, joinByHand, refusedByService, withHostileService } from "./join_attacks.ts";
import { assertThrownBy, attack } from "./stopped_by.ts";
import { variantTest } from "./variants.ts";

Deno.test(attack("attack: relay, a TLS terminator stands between node and service", checkProposal), async () => {
  // He terminates TLS on both sides, so each side has its own channel binding with him. The service's signature over A1
  // contains the binding of its connection with him.
  await using cluster = await TestCluster.create();
  await using middle = await terminateTls(cluster.port);
  const error = await firstFailure(middle.port, cluster.trust);
  assert.equal(error.code, "refused/signature");
  assert.equal(error.details["check"], "service-signature");
  assertThrownBy(error, checkProposal);
  assert.ok(middle.passedOn > 0);
  assertUntouched(cluster);
});

const blindNode = attack(
  "attack: relay, a TLS terminator stands between service and a node that does not look",
  serveJoin,
);
Deno.test(blindNode, async () => {
  // The node has been persuaded to skip its checks. The service still sees that A2 does not belong to its own
  // connection.
  await using cluster = await TestCluster.create();
  await using middle = await terminateTls(cluster.port);
  const error = await joinByHand(middle.port).catch(asBootstrapError);
  assert.ok(error instanceof BootstrapError && error.code === "refused/signature");
  assert.equal(error.message, "The peer refused: refused/signature", "a stranger learns the code alone");
  assertUntouched(cluster);
});

const ownKey = "attack: relay of a node's fresh evidence, under the attacker's own key";
await variantTest(({ stoppers }) => attack(ownKey, joinA2, stoppers.statement), async (_t, variant) => {
  // A node without checks talks to him. He exchanges the nonces of the node and the genuine service, and shows the
  // node's evidence with a key and a request of his own. But the evidence covers CB, K_c and E_c.
  await using machine = await variant.start();
  await using cluster = await TestCluster.create({ verifier: variant.verifierFor(machine) });
  await measureTrust(machine.issuer, cluster.trust);
  const refused = Promise.withResolvers<unknown>();
  const namesIdentity = machine.issuer.identityIsKey === true;
  await using rogue = await listen<JoinClientMessage, JoinServerMessage>({
    service: JoinServiceService,
    ...{ host: "127.0.0.1", port: 0, maximumConnections: 8, log: silentLog },
    async handle({ exchange }) {
      const { clientNonce } = await exchange.receive("hello", PATIENCE_MS);
      const evidence: Hostility["evidence"] = async (_a2, { serverNonce }) => {
        const foundings = [...cluster.service.identity.foundings];
        const proposal = { ...emptyProposal, serverNonce: copyOf(serverNonce), foundings };
        await exchange.send({ message: { $case: "proposal", proposal } });
        return (await exchange.receive("request", PATIENCE_MS)).evidence;
      };
      refused.resolve(joinByHand(cluster.port, { clientNonce, evidence, namesIdentity }).catch(asBootstrapError));
      await refused.promise;
    },
  });
  await joinByHand(rogue.port, { issuer: machine.issuer }).catch(() => {});
  const error = await refused.promise;
  assert.ok(error instanceof BootstrapError && error.code === `refused/${variant.checks.statement}`, String(error));
  assertUntouched(cluster);
});

const relayedSignature = attack(
  "attack: relay, a rogue service relays the genuine service's signature of another connection",
  checkProposal,
);
Deno.test(relayedSignature, async () => {
  // The service's signature covers A1, which contains the channel binding.
  await using cluster = await TestCluster.create();
  const gotRequest = await withHostileService(async ({ exchange }, clientNonce) => {
    using dialled = await dialService(cluster.port);
    await dialled.exchange.send({ message: { $case: "hello", hello: { clientNonce } } });
    const proposal = await dialled.exchange.receive("proposal", PATIENCE_MS);
    await exchange.send({ message: { $case: "proposal", proposal } });
  }, async (port) => {
    assert.equal((await firstFailure(port, cluster.trust)).code, "refused/signature");
  });
  assert.ok(!gotRequest);
  assertUntouched(cluster);
});

const wholeReplay = attack(
  "attack: replay of a whole recorded exchange, to the service and to the node",
  serveJoin,
  checkProposal,
);
Deno.test(wholeReplay, async () => {
  // Every signed value contains the nonces and the binding of its connection.
  await using cluster = await TestCluster.create();
  const node = await newNode(cluster.trust);
  const sent: JoinClientMessage[] = [];
  const received: JoinServerMessage[] = [];
  await using recorder = await listen<JoinClientMessage, JoinServerMessage>({
    service: JoinServiceService,
    ...{ host: "127.0.0.1", port: 0, maximumConnections: 8, log: silentLog },
    async handle({ exchange }) {
      // He records well-formed messages as the man in the middle of a node without checks.
      using upstream = await dialService(cluster.port);
      const hello = await exchange.receive("hello", PATIENCE_MS);
      sent.push({ message: { $case: "hello", hello } });
      await upstream.exchange.send({ message: { $case: "hello", hello } });
      const proposal = await upstream.exchange.receive("proposal", PATIENCE_MS);
      received.push({ message: { $case: "proposal", proposal } });
      await exchange.send({ message: { $case: "proposal", proposal } });
      sent.push({ message: { $case: "request", request: await exchange.receive("request", PATIENCE_MS) } });
    },
  });
  await joinByHand(recorder.port).catch(() => {});
  assert.equal(sent.length, 2);
  using dialled = await dialService(cluster.port);
  for (const message of sent) await dialled.exchange.send(message).catch(() => {});
  await dialled.exchange.receive("proposal", PATIENCE_MS);
  await assert.rejects(dialled.exchange.receive("ticket", PATIENCE_MS), { code: "refused/signature" });
  const gotRequest = await withHostileService(async ({ exchange }) => {
    for (const message of received) await exchange.send(message);
  }, (port) => assert.rejects(ask(port, node), { code: "refused/signature" }));
  assert.ok(!gotRequest);
  assertUntouched(cluster);
});

Deno.test(attack("attack: a second stream on the connection", listen), async () => {
  // A connection may have only one stream, and ends when a second one is opened.
  await using cluster = await TestCluster.create();
  const hello = JoinClientMessage.encode({ message: { $case: "hello", hello: { clientNonce: randomBytes(32) } } })
    .finish();
  const { path } = JoinServiceService.join;
  assert.deepEqual(await openStreams(cluster.port, path, () => hello, 1), [true], "the attack's own machinery");
  const [, second] = await openStreams(cluster.port, path, () => hello, 2);
  assert.equal(second, false, "the second stream was served");
  assertUntouched(cluster);
});

Deno.test(attack("attack: downgrade to TLS 1.2, of the service", serverTlsOptions), async () => {
  await using cluster = await TestCluster.create();
  await assert.rejects(connectTls(cluster.port, { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" }));
  assertUntouched(cluster);
});

Deno.test(attack("attack: a TLS session is resumed", bindingOf), async () => {
  // A resumed session has no fresh key exchange, so the connection ends.
  await using cluster = await TestCluster.create();
  const options = { servername: `${hex(randomBytes(8))}.invalid` };
  const first = await connectTls(cluster.port, options);
  // The session ticket arrives before the service's first bytes.
  await once(first, "data", { signal: AbortSignal.timeout(PATIENCE_MS) });
  first.destroy();
  const second = await connectTls(cluster.port, options);
  let received = 0;
  second.on("data", ({ length }: Uint8Array) => received += length);
  assert.ok(second.isSessionReused(), "the attack's own machinery");
  await cutOff(second);
  assert.equal(received, 0);
  assertUntouched(cluster);
});

Deno.test(attack("attack: cross-protocol, an operator's Init call at the join service", listen), async () => {
  // Each service of the contract has its own listener, which knows no other method.
  await using cluster = await TestCluster.create();
  using dialled = await dial<InitServerMessage, InitClientMessage>({
    method: InitServiceService.init,
    endpoint: `127.0.0.1:${cluster.port}`,
    connectDeadlineMs: PATIENCE_MS,
  });
  const hello = { clientNonce: randomBytes(32), operatorKey: cluster.operator.spki, signature: randomBytes(64) };
  await dialled.exchange.send({ message: { $case: "hello", hello } }).catch(() => {});
  await assert.rejects(dialled.exchange.receive("proposal", PATIENCE_MS), BootstrapError);
  assertUntouched(cluster);
});

Deno.test(attack("attack: a node stalls at each step", listen, Exchange), async (t) => {
  // Every open connection has a deadline, and so does every message.
  const deadlines = { helloMs: 200, requestMs: 200, activationMs: 200, outcomeMs: 60_000 };
  await using cluster = await TestCluster.create({
    service: {
      deadlines,
      verifier: {
        variant: "none",
        identityIsKey: true,
        verify: (_evidence, _statement, { identity }) =>
          Promise.resolve({
            claims: { variant: "none", identity, fresh: true },
            challenge: {
              message: { credentialBlob: new Uint8Array(8), encryptedSecret: new Uint8Array(8) },
              secret: randomBytes(32),
            },
          }),
      },
    },
  });
  await t.step("before TLS, and before its stream", async () => {
    await Promise.all([
      connectSilently(cluster.port).then(cutOff),
      connectTls(cluster.port, {}).then(cutOff),
    ]);
  });
  await t.step("before the hello", async () => {
    using dialled = await dialService(cluster.port);
    await assert.rejects(dialled.exchange.receive("proposal", PATIENCE_MS), { code: "timeout/peer" });
  });
  await t.step("before the request", async () => {
    using dialled = await dialService(cluster.port);
    await dialled.exchange.send({ message: { $case: "hello", hello: { clientNonce: randomBytes(32) } } });
    await dialled.exchange.receive("proposal", PATIENCE_MS);
    await assert.rejects(dialled.exchange.receive("ticket", PATIENCE_MS), { code: "timeout/peer" });
  });
  await t.step("before the activation", async () => {
    const stall: Hostility["answer"] = async (_challenge, _a2, exchange) => {
      await exchange.receive("ticket", PATIENCE_MS);
      return new Uint8Array();
    };
    await assert.rejects(joinByHand(cluster.port, { answer: stall }), { code: "timeout/peer" });
  });
  assertUntouched(cluster);
});

Deno.test(attack("attack: a service stalls at each step", Exchange), async (t) => {
  // Every message has a deadline. After it the node asks another service.
  await using cluster = await TestCluster.create();
  const deadlines = { proposalMs: 200, challengeMs: 200, ticketMs: 200 };
  const keys = await newNodeKeys();
  const insecure = await newInsecureIssuer(keys.identity);
  const challenged = { ...insecure, variant: "tpm" as const };
  const never = () => new Promise<never>(() => {});
  const steps: readonly (readonly [string, Partial<JoinExchangeService>, EvidenceIssuer])[] = [
    ["before the proposal", { deadlines: cluster.service.deadlines }, insecure],
    ["before the challenge", { verifier: { variant: "none", identityIsKey: true, verify: never } }, challenged],
    ["before the ticket", { clusterVersion: never }, insecure],
  ];
  for (const [name, changes, issuer] of steps) {
    await t.step(name, async () => {
      const node = await newNode(cluster.trust, { deadlines, issuer, keys });
      if (name === "before the proposal") {
        await withHostileService(never, (port) => assert.rejects(ask(port, node), { code: "timeout/peer" }));
        return;
      }
      const service = { ...cluster.service, ...changes };
      await using hostile = await listenForJoins(service, { host: "127.0.0.1", port: 0 });
      await assert.rejects(ask(hostile.port, node), { code: "timeout/peer" });
    });
  }
  assertUntouched(cluster);
});

Deno.test("attack: oversized messages", async (t) => {
  await using cluster = await TestCluster.create();
  await t.step(attack("larger than any message, to the service", listen), async () => {
    const message = (honest: SignedJoinRequest) => ({ ...honest, request: new Uint8Array(300 * 1024) });
    await assert.rejects(joinByHand(cluster.port, { message }), BootstrapError);
  });
  await t.step(attack("larger than any request, to the service", readRequest), async () => {
    const addresses = Array.from({ length: 1000 }, () => "192.0.2.7");
    await refusedByService(cluster, { request: { addresses } }, "malformed/join-request");
  });
  await t.step(attack("larger than any message, to the node", dial), async () => {
    const proposal = { ...emptyProposal, caCertificate: new Uint8Array(300 * 1024) };
    const gotRequest = await withHostileService(async ({ exchange }) => {
      await exchange.send({ message: { $case: "proposal", proposal } }).catch(() => {});
    }, async (port) => assert.ok(await firstFailure(port, cluster.trust) instanceof BootstrapError));
    assert.ok(!gotRequest);
  });
  assertUntouched(cluster);
});

const emptyProposal = {
  ...{ serverNonce: new Uint8Array(32), foundings: [], caCertificate: new Uint8Array() },
  ...{ serviceCertificate: new Uint8Array(), signature: new Uint8Array(64), successions: [], documents: [] },
};
