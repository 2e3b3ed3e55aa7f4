/**
 * Attacks on a node by a join service. The service shows no evidence, so none depends on its kind.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createFounding } from "../../../protocol/founding.ts";
import type { UnsignedNodeCertificates } from "../../../certificate/ca.ts";
import {
  createCertificateAuthority,
  issueAdminCertificate,
  issueClientCertificate,
  prepareNodeCertificates,
} from "../../../certificate/ca.ts";
import { checkServiceCertificate } from "../../../certificate/chain.ts";
import { checkProposal } from "../../../join/proposal.ts";
import { checkTicket } from "../../../join/ticket.ts";
import { generateKeyPair } from "../../../certificate/keys.ts";
import { nodeSubject } from "../../../certificate/subjects.ts";
import type { CertifiedNode, JoinExchangeService } from "../../../service/exchange_parts.ts";
import { CLUSTER_DOCUMENT, TestCluster } from "../../exchanges/join_world.ts";
import { listenForJoins } from "../../../service/testing/join_listener.ts";
import { FairQueue } from "../../../service/fair_queue.ts";
import { hex, randomBytes } from "../../../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../../../platform/errors.ts";
import { firstFailure, joinByHand, refusedByNode } from "./join_attacks.ts";
import { assertThrownBy, attack } from "./stopped_by.ts";

Deno.test(attack("attack: a service that no operator of the node founded", checkProposal), async (t) => {
  // Refused before the node sends any data of its own.
  await using cluster = await TestCluster.create();
  const { operator, clusterId, clusterName } = cluster;
  const stranger = await generateKeyPair("ed25519");
  const genuine = await createFounding(operator, clusterId, clusterName);

  await t.step("a founding by a stranger", async () => {
    const foundings = [await createFounding(stranger, clusterId, clusterName)];
    const error = await refusedByNode(cluster, { foundings }, "refused/founding-operator");
    assert.equal(error.details["seen"], hex(stranger.spki));
  });
  await t.step("a founding by a stranger that claims the operator's key", async () => {
    const foundings = [{ ...await createFounding(stranger, clusterId, clusterName), operatorKey: operator.spki }];
    await refusedByNode(cluster, { foundings }, "refused/signature");
  });
  await t.step("a founding for another cluster ID", async () => {
    const foundings = [await createFounding(operator, randomBytes(32), clusterName)];
    await refusedByNode(cluster, { foundings }, "refused/founding");
  });
  await t.step("a founding for another cluster ID that claims this one", async () => {
    const foundings = [{ ...await createFounding(operator, randomBytes(32), clusterName), clusterId }];
    await refusedByNode(cluster, { foundings }, "refused/signature");
  });
  await t.step("a founding for another cluster's name", async () => {
    const foundings = [await createFounding(operator, clusterId, "prod")];
    await refusedByNode(cluster, { foundings }, "refused/founding-name");
  });
  await t.step("no founding", async () => {
    await refusedByNode(cluster, { foundings: [] }, "refused/founding");
  });
  await t.step("the genuine founding, with a CA of its own", async () => {
    const other = await createCertificateAuthority(new Date());
    const identity = { foundings: [genuine], caCertificate: other.certificate.der };
    await refusedByNode(cluster, identity, "refused/founding");
  });
  await t.step("a CA that does not hash to the configured ID", async () => {
    const trust = { ...cluster.trust, clusterId: randomBytes(32) };
    const error = await refusedByNode(cluster, {}, "refused/ca-cluster-id", trust);
    assert.match(error.details["seen"] ?? "", /^sha256:/);
  });
  await t.step("the CA's certificate, altered", async () => {
    const caCertificate = cluster.ca.certificate.der.slice();
    caCertificate[caCertificate.length - 5] = (caCertificate[caCertificate.length - 5] ?? 0) ^ 1;
    await refusedByNode(cluster, { caCertificate }, "refused/certificate-signature");
  });
});

const posesAsService = attack(
  "attack: evidence oracle, a member of the cluster poses as its join service",
  checkServiceCertificate,
  checkProposal,
);
Deno.test(posesAsService, async (t) => {
  // After a join any privileged Pod that reaches the TPM or configfs can make valid evidence, so a node does not ask a
  // service for evidence. It requires a certificate directly under the CA with exactly the join service's subject.
  await using cluster = await TestCluster.create();
  const keys = await generateKeyPair("p-256");
  const issue = (subject: ReturnType<typeof nodeSubject>) =>
    issueClientCertificate(cluster.ca, { spki: keys.spki, subject, lifetimeMs: 60_000 }, new Date());
  await t.step("with a kubelet's certificate", async () => {
    const certificate = (await issue(nodeSubject("cp-1"))).der;
    await refusedByNode(cluster, { certificate, keys }, "refused/certificate-subject");
  });
  await t.step("with an administrator's certificate", async () => {
    const certificate = (await issueAdminCertificate(cluster.ca, keys.spki, new Date())).der;
    await refusedByNode(cluster, { certificate, keys }, "refused/certificate-subject");
  });
  await t.step("with the service's certificate and a key of its own", async () => {
    await refusedByNode(cluster, { keys }, "refused/signature");
  });
  await t.step("with a service's certificate of another CA of the same name", async () => {
    await using other = await TestCluster.create();
    const { certificate, keys } = other.service.identity;
    await refusedByNode(cluster, { certificate, keys }, "refused/certificate-signature");
  });
});

Deno.test(attack("attack: a captured join service gives tickets that are not the node's", checkTicket), async (t) => {
  // Refused before the lock.
  await using cluster = await TestCluster.create();
  const other = await createCertificateAuthority(new Date());
  const { spki } = await generateKeyPair("p-256");
  /** A service that makes certificates by another CA, or for another node. */
  const certifying = (changes: Partial<CertifiedNode>, ca = cluster.ca): Partial<JoinExchangeService> => ({
    prepareCertificates: (node) =>
      prepareNodeCertificates(ca, { ...node, ...changes, lifetimeMs: 3_600_000 }, new Date()),
  });
  /** A service that puts the certificates in other places. */
  const swapping = (
    swap: (made: UnsignedNodeCertificates) => UnsignedNodeCertificates,
  ): Partial<JoinExchangeService> => ({
    prepareCertificates: async (node) => swap(await cluster.service.prepareCertificates(node)),
  });
  const tickets: readonly (readonly [string, Partial<JoinExchangeService>, string])[] = [
    [
      "for another name",
      certifying({ nodeName: "worker-9" }),
      "refused/certificate-subject",
    ],
    ["for another key", certifying({ clientKey: spki }), "refused/certificate-key"],
    ["with another key to serve with", certifying({ servingKey: spki }), "refused/certificate-key"],
    ["for another address", certifying({ addresses: ["192.0.2.8"] }), "refused/certificate-names"],
    ["for one more address", certifying({ addresses: ["192.0.2.7", "192.0.2.8"] }), "refused/certificate-names"],
    ["by another CA", certifying({}, other), "refused/certificate-signature"],
    [
      "with the client certificate in both places",
      swapping(({ client }) => ({ client, serving: client })),
      "refused/certificate-subject",
    ],
    [
      "with the serving certificate in both places",
      swapping(({ serving }) => ({ client: serving, serving })),
      "refused/certificate-subject",
    ],
    ["without an endpoint", { ticket: { ...cluster.service.ticket, apiEndpoints: [] } }, "malformed/ticket"],
    [
      "with an endpoint that is none",
      { ticket: { ...cluster.service.ticket, apiEndpoints: ["https://x/\nusers: []"] } },
      "malformed/ticket",
    ],
    [
      "with a cluster document that is none",
      { ticket: { ...cluster.service.ticket, clusterDocument: `${CLUSTER_DOCUMENT}token: abc\n` } },
      "malformed/ticket",
    ],
  ];
  for (const [name, changes, code] of tickets) {
    await t.step(name, async () => {
      // Each attack meets another machine, which has the name of the one before.
      cluster.admissions.records.length = 0;
      await using hostile = await listenForJoins({ ...cluster.service, ...changes }, { host: "127.0.0.1", port: 0 });
      const error = await firstFailure(hostile.port, cluster.trust);
      assert.equal(error.code, code, error.message);
      assertThrownBy(error, checkTicket);
      assert.equal(error.details["saidBy"], undefined);
    });
  }
});

Deno.test(attack("attack: costly evidence, more nodes than the service can verify", FairQueue), async () => {
  // Nodes that do not fit into the queue are told to ask again.
  const gate = Promise.withResolvers<void>();
  await using cluster = await TestCluster.create({
    service: {
      queue: new FairQueue({ maximumActive: 1, maximumWaiting: 1, full: "too many wait" }),
      verifier: {
        variant: "none",
        identityIsKey: true,
        async verify(_evidence, _statement, { identity }) {
          await gate.promise;
          return { claims: { variant: "none", identity, fresh: true } };
        },
      },
      prepareCertificates: () => Promise.reject(new BootstrapError("unavailable/peer-gone", "nothing is signed here")),
    },
  });
  const asked = Array.from(
    { length: 3 },
    (_, index) => joinByHand(cluster.port, { request: { nodeName: `worker-${index}` } }).catch(asBootstrapError),
  );
  const first = await Promise.race(asked);
  assert.ok(first instanceof BootstrapError && first.code === "unavailable/busy" && first.retriable);
  assert.equal(first.details["retryAfterSeconds"], "5");
  gate.resolve();
  const all = await Promise.all(asked);
  assert.equal(all.filter((one) => one instanceof BootstrapError && one.code === "unavailable/peer-gone").length, 2);
  assert.deepEqual(cluster.signed, []);
});
