/**
 * Attacks on a Join with messages that come twice, in another order, or after the end. They are made for a machine with
 * a challenge (TPM) and one without (SEV-SNP), which stand for the other kinds. There must be at most one ticket, and
 * none if a message comes too early.
 *
 * @module
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import { Exchange } from "../../../channel/exchange.ts";
import { clientTlsOptions, serverTlsOptions } from "../../../channel/finished.ts";
import type { Session } from "../../../channel/server.ts";
import { checkProposal } from "../../../join/proposal.ts";
import { serveJoin } from "../../../service/exchange_service.ts";
import { joinA1, signedBytes } from "../../../protocol/transcript.ts";
import { shownLists } from "../../../protocol/shown_lists.ts";
import { sign } from "../../../protocol/signature.ts";
import { createThrowAwayCertificate } from "../../../certificate/throw_away.ts";
import { ask, newNode, TestCluster } from "../../exchanges/join_world.ts";
import { measureTrust } from "../../../nodelock/measure.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { randomBytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { JoinClientMessage, JoinServerMessage } from "../../../proto/gen/bootstrapper.ts";
import { PATIENCE_MS } from "./attacks.ts";
import type { Hostility, JoinStep } from "./join_attacks.ts";
import {
  assertUntouched,
  firstFailure,
  joinByHand,
  NODE_NAME,
  refusedByService,
  withHostileService,
} from "./join_attacks.ts";
import { OTHER_LABELS, signOfVersion } from "./statements.ts";
import { assertThrownBy, attack } from "./stopped_by.ts";
import type { TestVariant } from "./variants.ts";
import { VARIANTS, variantTest } from "./variants.ts";

const KINDS: readonly TestVariant[] = [VARIANTS.tpm, VARIANTS.snp];
const ACTIVATION: JoinClientMessage = { message: { $case: "activation", activation: { hmac: randomBytes(32) } } };
const OUTCOME: JoinClientMessage = { message: { $case: "outcome", outcome: { locked: true } } };

/** Sends further messages directly before a message of the protocol, or after the ticket. */
function inserted(
  at: JoinStep | "end",
  ...messages: ((sent: readonly JoinClientMessage[]) => JoinClientMessage | undefined)[]
) {
  const sent: JoinClientMessage[] = [];
  const before: Hostility["before"] = async (step, exchange) => {
    if (step !== at) return;
    for (const message of messages) {
      const more = message(sent);
      if (more !== undefined) await exchange.send(more).catch(() => {});
    }
  };
  return { sent, before };
}

await variantTest(
  attack("attack: messages to a service that come twice, too early or in another order", Exchange),
  async (t, variant) => {
    // The service accepts only the next message of the protocol.
    await using machine = await variant.start();
    const { issuer } = machine;
    await using cluster = await TestCluster.create({ verifier: variant.verifierFor(machine) });
    await measureTrust(issuer, cluster.trust);
    const early: readonly (readonly [
      name: string,
      at: JoinStep,
      message: (sent: readonly JoinClientMessage[]) => JoinClientMessage | undefined,
    ])[] = [
      ["an activation before the hello", "hello", () => ACTIVATION],
      ["an outcome before the hello", "hello", () => OUTCOME],
      ["an empty message before the hello", "hello", () => ({ message: undefined })],
      ["the hello twice", "request", (sent) => sent.at(-1)],
      ["an activation before the request", "request", () => ACTIVATION],
      ["an outcome before the request", "request", () => OUTCOME],
      ...(issuer.isChallenged
        ? [
          ["the request twice", "activation", (sent: readonly JoinClientMessage[]) => sent.at(-1)],
          ["the hello after the request", "activation", (sent: readonly JoinClientMessage[]) => sent.at(0)],
          ["an outcome before the activation", "activation", () => OUTCOME],
        ] as const
        : []),
    ];
    for (const [name, at, message] of early) {
      await t.step(name, async () => {
        const play = inserted(at, message);
        const error = await joinByHand(cluster.port, { issuer, ...play }).then(
          () => assert.fail("there was a ticket"),
          (error: unknown) => error,
        );
        // The answer to a challenge is shorter than any request.
        const code = name === "the request twice" ? "protocol/message-size" : "protocol/order";
        assert.ok(error instanceof BootstrapError && error.code === code, String(error));
        assert.equal(cluster.refusals.at(-1), code);
        assertUntouched(cluster);
      });
    }
  },
  KINDS,
);

await variantTest(attack("attack: a second request on one stream", serveJoin), async (t, variant) => {
  // A request is read once, and the exchange ends after the ticket: one record, one certificate.
  await using machine = await variant.start();
  const { issuer } = machine;
  await using cluster = await TestCluster.create({ verifier: variant.verifierFor(machine) });
  await measureTrust(issuer, cluster.trust);
  const again = (sent: readonly JoinClientMessage[]) => sent.find(({ message }) => message?.$case === "request");
  await t.step("after the ticket, with all that follows", async () => {
    await joinByHand(cluster.port, {
      issuer,
      ...inserted("end", again, () => ACTIVATION, () => OUTCOME, again),
    });
    assert.deepEqual(cluster.signed, [NODE_NAME]);
    assert.equal(cluster.admissions.records.length, 1);
  });
  await t.step("an outcome of a worker that frees nobody's turn", async () => {
    await joinByHand(cluster.port, { issuer, ...inserted("end", () => OUTCOME) });
    assert.deepEqual(cluster.signed, [NODE_NAME, NODE_NAME]);
    assert.equal(cluster.admissions.records.length, 1);
  });
}, KINDS);

await variantTest(attack("attack: a replayed request on a new stream", serveJoin), async (_t, variant) => {
  // A2 contains the nonces and the binding of the other connection.
  await using machine = await variant.start();
  const { issuer } = machine;
  await using cluster = await TestCluster.create({ verifier: variant.verifierFor(machine) });
  await measureTrust(issuer, cluster.trust);
  const sent: JoinClientMessage[] = [];
  await joinByHand(cluster.port, { issuer, sent });
  cluster.signed.length = cluster.signedServing.length = 0;
  const recorded = sent.find(({ message }) => message?.$case === "request")?.message;
  assert.ok(recorded?.$case === "request");
  await refusedByService(cluster, { issuer, message: () => recorded.request }, "refused/signature");
}, KINDS);

/** Shows a genuine service's proposal, and returns the request that follows. */
async function propose(
  { exchange }: Session<JoinClientMessage, JoinServerMessage>,
  clientNonce: Uint8Array,
  { service: { identity } }: TestCluster,
  signWith = (a1: Bytes) => sign(identity.keys, "service", a1),
): Promise<JoinServerMessage> {
  const { clusterId, caCertificate, certificate, foundings } = identity;
  const serverNonce = randomBytes(32);
  const lists = { foundings: [...foundings], successions: [], documents: [] };
  const a1 = await joinA1({
    binding: exchange.binding,
    clientNonce: new Uint8Array(clientNonce),
    serverNonce,
    clusterId,
    lists: shownLists(lists),
  });
  const proposal = {
    ...{ serverNonce, caCertificate: new Uint8Array(caCertificate), ...lists },
    ...{ serviceCertificate: new Uint8Array(certificate), signature: await signWith(a1) },
  };
  return { message: { $case: "proposal", proposal } };
}

const disorder = "attack: messages to a node that come twice, too early or in another order";
await variantTest(attack(disorder, Exchange), async (t, variant) => {
  // A service that breaks the order learns no more than before.
  await using machine = await variant.start();
  const { issuer } = machine;
  await using cluster = await TestCluster.create();
  await measureTrust(issuer, cluster.trust);
  const node = await newNode(cluster.trust, { issuer });
  const ticket: JoinServerMessage = {
    message: { $case: "ticket", ticket: { ticket: new Uint8Array(), signature: randomBytes(64) } },
  };
  const challenge: JoinServerMessage = {
    message: { $case: "challenge", challenge: { credentialBlob: randomBytes(70), encryptedSecret: randomBytes(70) } },
  };
  /** By the messages before and after the proposal: the error code, and the messages that the node still sends. */
  const attacks:
    readonly (readonly [string, readonly JoinServerMessage[], readonly ("again" | JoinServerMessage)[], string])[] = [
      ["a ticket before the proposal", [ticket], [], "protocol/order"],
      ["a challenge before the proposal", [challenge], [], "protocol/order"],
      ["an empty message before the proposal", [{ message: undefined }], [], "protocol/order"],
      ["the proposal twice", [], ["again"], "protocol/order"],
      issuer.isChallenged
        ? ["a ticket without a challenge", [], [ticket], "protocol/order"]
        : ["a challenge that the kind does not have", [], [challenge], "protocol/order"],
    ];
  for (const [name, first, then, code] of attacks) {
    await t.step(name, async () => {
      const kinds: string[] = [];
      await withHostileService(async (session, clientNonce) => {
        const { exchange } = session;
        const proposal = await propose(session, clientNonce, cluster);
        for (const message of first) await exchange.send(message).catch(() => {});
        await exchange.send(proposal).catch(() => {});
        for (const message of then) await exchange.send(message === "again" ? proposal : message).catch(() => {});
        for (;;) kinds.push((await exchange.receiveAny(["request", "activation", "outcome"], PATIENCE_MS)).kind);
      }, (port) => assert.rejects(ask(port, node), { code }));
      assert.deepEqual(kinds, first.length > 0 ? [] : ["request"], "the node went on");
    });
  }
}, KINDS);

const otherVersion = attack(
  "attack: downgrade to another version of the protocol, by a service",
  checkProposal,
  signedBytes,
);
Deno.test(otherVersion, async (t) => {
  // The signed bytes contain the label.
  await using cluster = await TestCluster.create();
  const { keys } = cluster.service.identity;
  for (const label of OTHER_LABELS) {
    await t.step(`"${label}"`, async () => {
      const gotRequest = await withHostileService(async (session, clientNonce) => {
        const proposal = await propose(
          session,
          clientNonce,
          cluster,
          (a1) => signOfVersion(keys, label, "service", a1),
        );
        await session.exchange.send(proposal);
      }, async (port) => {
        const error = await firstFailure(port, cluster.trust);
        assert.equal(error.code, "refused/signature");
        assertThrownBy(error, checkProposal);
      });
      assert.ok(!gotRequest);
    });
  }
});

Deno.test(attack("attack: downgrade to TLS 1.2, of a node", clientTlsOptions), async () => {
  await using cluster = await TestCluster.create();
  const certificate = await createThrowAwayCertificate();
  const old = createServer({ ...serverTlsOptions(certificate), minVersion: "TLSv1.2", maxVersion: "TLSv1.2" });
  let received = 0;
  old.on("secureConnection", (socket) => socket.on("data", ({ length }: Uint8Array) => received += length));
  old.on("tlsClientError", () => {});
  old.listen(0, "127.0.0.1");
  await once(old, "listening");
  const node = await newNode(cluster.trust);
  await assert.rejects(ask((old.address() as AddressInfo).port, node), { code: "unavailable/connection" });
  assert.equal(received, 0);
  old.close();
});
