/**
 * Attacks by a process in the place of a join service's listening end. It passes on messages of the very connection, so
 * the channel binding does not stop it. The service's signatures over A1 and over its answer do.
 *
 * Each attack is made a second time with a signature by the service's own key, which the attacker does not have. Then
 * the node is taken in: nothing but that signature stops the attack.
 *
 * @module
 */
import assert from "node:assert/strict";
import { issueNodeCertificates } from "../../../certificate/testing/node_certificates.ts";
import { generateKeyPair } from "../../../certificate/keys.ts";
import { checkProposal } from "../../../join/proposal.ts";
import type { Ticket } from "../../../join/ticket.ts";
import { checkTicket } from "../../../join/ticket.ts";
import { createFounding } from "../../../protocol/founding.ts";
import { sign } from "../../../protocol/signature.ts";
import { answerStatement } from "../../../protocol/transcript.ts";
import { ask, CLUSTER_DOCUMENT, newNode, TestCluster } from "../../exchanges/join_world.ts";
import { copyOf, utf8 } from "../../../platform/bytes.ts";
import { asBootstrapError } from "../../../platform/errors.ts";
import { JoinTicket } from "../../../proto/gen/bootstrapper.ts";
import type { JoinProposal, SignedJoinTicket } from "../../../proto/gen/bootstrapper.ts";
import type { Tampering } from "./front_attacks.ts";
import { startFront } from "./front_attacks.ts";
import { assertThrownBy, attack } from "./stopped_by.ts";

/** Changes the ticket on its way to the node. */
function changingTicket(change: (ticket: SignedJoinTicket) => SignedJoinTicket): Tampering {
  return ({ message }) =>
    message?.$case === "ticket" ? { message: { $case: "ticket", ticket: change(message.ticket) } } : { message };
}

/** Changes fields of the ticket, and leaves its signature. */
function changingFields(change: (ticket: JoinTicket) => Partial<JoinTicket>): Tampering {
  return changingTicket(({ ticket, signature }) => {
    const honest = JoinTicket.decode(ticket);
    return { ticket: copyOf(JoinTicket.encode({ ...honest, ...change(honest) }).finish()), signature };
  });
}

/** Changes the proposal on its way to the node, and leaves its signature. */
function changingProposal(change: (proposal: JoinProposal) => Partial<JoinProposal>): Tampering {
  return ({ message }) => {
    if (message?.$case !== "proposal") return { message };
    return { message: { $case: "proposal", proposal: { ...message.proposal, ...change(message.proposal) } } };
  };
}

/** The same attack by an attacker that has the service's key. */
function withTheKey(tamper: Tampering, { service: { identity: { keys } } }: TestCluster): Tampering {
  return async (message, passed) => {
    const changed = (await tamper(message, passed)).message;
    switch (changed?.$case) {
      case "proposal":
        return {
          message: {
            $case: "proposal",
            proposal: { ...changed.proposal, signature: await sign(keys, "service", passed.a1) },
          },
        };
      case "ticket": {
        const { ticket } = changed.ticket;
        const signature = await sign(keys, "ticket", await answerStatement(passed.a2, ticket));
        return { message: { $case: "ticket", ticket: { ticket, signature } } };
      }
      default:
        return { message: changed };
    }
  };
}

Deno.test("a front that passes everything on as it is does no harm, and learns no secret", async () => {
  // Without this test the attacks below would prove nothing.
  await using cluster = await TestCluster.create();
  await using front = await startFront(cluster.service, (message) => message);
  const ticket = await ask(front.port, await newNode(cluster.trust));
  assert.deepEqual(ticket.apiEndpoints, ["127.0.0.1:6443"]);
  assert.deepEqual(front.heard, ["hello", "request"]);
});

Deno.test("attack: a front changes the ticket of the very exchange", async (t) => {
  await using cluster = await TestCluster.create();
  const earlier: SignedJoinTicket[] = [];
  const node = await newNode(cluster.trust);
  {
    await using recorder = await startFront(cluster.service, ({ message }) => {
      if (message?.$case === "ticket") earlier.push(message.ticket);
      return { message };
    });
    await ask(recorder.port, node);
  }
  const [recorded] = earlier;
  assert.ok(recorded !== undefined);
  // Certificates that the CA made for this node and these keys, under an admission that was removed since.
  const old = await issueNodeCertificates(cluster.ca, {
    ...{ nodeName: "worker-1", admissionUid: crypto.randomUUID(), epoch: 1, addresses: ["192.0.2.7"] },
    ...{ clientKey: node.keys.node.spki, servingKey: node.keys.serving.spki, lifetimeMs: 3_600_000 },
  }, new Date());
  const withOld = {
    clientCertificate: old.client.der,
    servingCertificate: old.serving.der,
    notAfterMs: BigInt(old.client.notAfter.getTime()),
  };
  const weaker = `${CLUSTER_DOCUMENT}podSubnet: 192.0.2.0/24\n`;
  const rows: readonly (readonly [name: string, tamper: Tampering, takenIn: (ticket: Ticket) => boolean])[] = [
    [
      "another endpoint of the API server",
      changingFields(() => ({ apiEndpoints: ["192.0.2.66:6443"] })),
      ({ apiEndpoints }) => apiEndpoints[0] === "192.0.2.66:6443",
    ],
    [
      "another endpoint of a join service",
      changingFields(({ joinEndpoints }) => ({ joinEndpoints: [...joinEndpoints, "192.0.2.66:9444"] })),
      ({ joinEndpoints }) => joinEndpoints.includes("192.0.2.66:9444"),
    ],
    [
      "another cluster document",
      changingFields(() => ({ clusterDocument: weaker })),
      ({ settings }) => settings.podSubnet === "192.0.2.0/24",
    ],
    [
      "certificates of an earlier admission",
      changingFields(() => withOld),
      ({ clientCertificate }) => clientCertificate.serialNumber.toHex() === old.client.serialNumber.toHex(),
    ],
    [
      "the ticket of another connection of this node",
      changingTicket(() => recorded),
      ({ clientCertificate }) =>
        clientCertificate.der.toHex() === JoinTicket.decode(recorded.ticket).clientCertificate.toHex(),
    ],
  ];
  for (const [name, tamper, takenIn] of rows) {
    await t.step(attack(name, checkTicket), async () => {
      await using front = await startFront(cluster.service, tamper);
      const error = await ask(front.port, node).then(() => assert.fail("the node was taken in"), asBootstrapError);
      assert.equal(error.code, "refused/signature", error.message);
      assert.equal(error.details["check"], "ticket-signature");
      assertThrownBy(error, checkTicket);
      await using able = await startFront(cluster.service, withTheKey(tamper, cluster));
      assert.ok(takenIn(await ask(able.port, node)), "the attack's own machinery");
    });
  }
  await t.step(attack("a signature for another purpose, by the genuine key", checkTicket), async () => {
    const { keys } = cluster.service.identity;
    await using front = await startFront(cluster.service, async ({ message }, { a1, a2 }) => {
      if (message?.$case !== "ticket") return { message };
      const { ticket } = message.ticket;
      assert.ok(a1.length === 32);
      const signature = await sign(keys, "service", await answerStatement(a2, ticket));
      return { message: { $case: "ticket", ticket: { ticket, signature } } };
    });
    await assert.rejects(ask(front.port, node), { code: "refused/signature" });
  });
  await t.step(attack("a signature by another service's key", checkTicket), async () => {
    const other = await generateKeyPair("p-256");
    const tamper = changingFields(() => ({ apiEndpoints: ["192.0.2.66:6443"] }));
    const identity = { ...cluster.service.identity, keys: other };
    await using front = await startFront(cluster.service, async (message, passed) => {
      if (message.message?.$case !== "ticket") return message;
      return await withTheKey(tamper, { service: { ...cluster.service, identity } } as TestCluster)(message, passed);
    });
    await assert.rejects(ask(front.port, node), { code: "refused/signature" });
  });
});

Deno.test("attack: a front changes what the service shows of its cluster", async (t) => {
  // An older list, or one with more in it. A1 binds all three lists, and the service signs A1.
  const second = await generateKeyPair("ed25519");
  await using cluster = await TestCluster.create();
  const { clusterId, clusterName, operator } = cluster;
  const more = await createFounding(second, clusterId, clusterName);
  const { identity } = cluster.service;
  const service = { ...cluster.service, identity: { ...identity, foundings: [...identity.foundings, more] } };
  const again = await createFounding(operator, clusterId, clusterName);
  const node = await newNode(cluster.trust);
  const rows: readonly (readonly [name: string, tamper: Tampering])[] = [
    ["a founding less", changingProposal(({ foundings }) => ({ foundings: foundings.slice(0, 1) }))],
    ["a founding more", changingProposal(({ foundings }) => ({ foundings: [...foundings, again] }))],
    ["the foundings in another order", changingProposal(({ foundings }) => ({ foundings: foundings.toReversed() }))],
    ["a succession", changingProposal(() => ({ successions: [utf8("succession")] }))],
    ["a document", changingProposal(() => ({ documents: [utf8("document")] }))],
  ];
  for (const [name, tamper] of rows) {
    await t.step(attack(name, checkProposal), async () => {
      await using front = await startFront(service, tamper);
      const error = await ask(front.port, node).then(() => assert.fail("the node was taken in"), asBootstrapError);
      assert.equal(error.code, "refused/signature", error.message);
      assert.equal(error.details["check"], "service-signature");
      assertThrownBy(error, checkProposal);
      assert.deepEqual(front.heard, ["hello"], "the node sent its request");
      await using able = await startFront(service, withTheKey(tamper, cluster));
      await ask(able.port, node).catch(() => {});
      assert.deepEqual(able.heard, ["hello", "request"], "the attack's own machinery");
    });
  }
  assert.deepEqual([cluster.signed, cluster.signedServing], [[], []]);
});
