/**
 * Attacks on a join service with a node's request. None depends on the kind of evidence, as the request is checked
 * separately.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import { checkClockSkew } from "../../../platform/clock_skew.ts";
import { readRequest } from "../../../protocol/join_request.ts";
import { checkLength } from "../../../protocol/lengths.ts";
import { signedBytes } from "../../../protocol/transcript.ts";
import { serveJoin } from "../../../service/exchange_service.ts";
import { checkKubeletVersion } from "../../../service/kubelet_version.ts";
import { checkNodeCsr, createNodeCsr, readCsr } from "../../../certificate/csr.ts";
import { generateKeyPair } from "../../../certificate/keys.ts";
import { sign } from "../../../protocol/signature.ts";
import { dialService, newInsecureIssuer, newNodeKeys, TestCluster } from "../../exchanges/join_world.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { randomBytes } from "../../../platform/bytes.ts";
import type { Hostility } from "./join_attacks.ts";
import { assertUntouched, joinByHand, NODE_NAME, refusedByService } from "./join_attacks.ts";
import { PATIENCE_MS } from "./attacks.ts";
import { OTHER_LABELS, signOfVersion } from "./statements.ts";
import type { Stopper } from "./stopped_by.ts";
import { attack } from "./stopped_by.ts";

Deno.test("attack: a request that is not exactly the node's own", async (t) => {
  await using cluster = await TestCluster.create();
  const other = await generateKeyPair("p-256");
  const keys = await newNodeKeys();
  type Row = readonly [name: string, stoppedBy: Stopper, hostility: Hostility, code: string];
  const attacks: readonly Row[] = [
    // The name of a member, or a name that the system uses.
    [
      "a CSR for another node",
      checkNodeCsr,
      { request: { clientCsr: await createNodeCsr(other, "cp-1") } },
      "refused/csr-subject",
    ],
    // The key differs from the one that the evidence names.
    [
      "a CSR for another key",
      checkNodeCsr,
      { request: { clientCsr: await createNodeCsr(other, NODE_NAME) } },
      "refused/csr-key",
    ],
    // The certificate to serve with would be another node's, or the API server's.
    [
      "a serving CSR for another node",
      checkNodeCsr,
      { request: { servingCsr: await createNodeCsr(other, "cp-1") } },
      "refused/csr-subject",
    ],
    ["a serving CSR that is none", readCsr, { request: { servingCsr: randomBytes(300) } }, "malformed/der"],
    [
      "one key for both certificates",
      serveJoin,
      { keys: { ...keys, serving: keys.node } },
      "refused/csr-serving-key",
    ],
    // The identity is a key: the request names it, and it signs.
    ["no identity key", serveJoin, { namesIdentity: false }, "malformed/join-request"],
    [
      "an identity key without its signature",
      serveJoin,
      { message: (m) => ({ ...m, identitySignature: new Uint8Array() }) },
      "malformed/join-request",
    ],
    [
      "another machine's identity key",
      serveJoin,
      { signIdentity: (_keys, a2) => sign(other, "identity", a2) },
      "refused/signature",
    ],
    [
      "an identity's signature for another purpose",
      signedBytes,
      { signIdentity: ({ identity }, a2) => sign(identity, "request", a2) },
      "refused/signature",
    ],
    [
      "an identity's signature over another exchange",
      serveJoin,
      { signIdentity: ({ identity }) => sign(identity, "identity", randomBytes(32)) },
      "refused/signature",
    ],
    [
      "another machine's evidence",
      serveJoin,
      { issuer: await newInsecureIssuer() },
      "refused/identity-key",
    ],
    ["a purpose that is none", readRequest, { request: { purpose: "leave" as "join" } }, "malformed/join-request"],
    ["a CSR that is none", readCsr, { request: { clientCsr: randomBytes(300) } }, "malformed/der"],
    // The name would be another Kubernetes user or a path.
    ["a name that is no label", readRequest, { request: { nodeName: "../../secrets" } }, "malformed/join-request"],
    ["a role that is none", readRequest, { request: { role: "admin" as "worker" } }, "malformed/join-request"],
    [
      "a clock far ahead",
      checkClockSkew,
      { request: { timeMs: BigInt(Date.now() + 3_600_000) } },
      "precondition/clock-skew",
    ],
    ["a clock far behind", checkClockSkew, { request: { timeMs: 0n } }, "precondition/clock-skew"],
    [
      "addresses that would break out of a record",
      readRequest,
      { request: { addresses: ["a,b"] } },
      "malformed/join-request",
    ],
    // The policy decides the role.
    ["a control plane's role for a worker", serveJoin, { request: { role: "control-plane" } }, "refused/role"],
    [
      "a kubelet newer than the cluster",
      checkKubeletVersion,
      { request: { kubeletVersion: "v1.99.0" } },
      "precondition/version-skew",
    ],
    // One signature covers all of these fields.
    [
      "a request that was changed after it was signed",
      serveJoin,
      { message: (m) => ({ ...m, request: m.request.with(5, (m.request[5] ?? 0) ^ 1) }) },
      "refused/signature",
    ],
    [
      "another sealing key",
      serveJoin,
      { message: (m) => ({ ...m, sealingKey: randomBytes(32) }) },
      "refused/signature",
    ],
    ["another node key", serveJoin, { message: (m) => ({ ...m, nodeKey: other.spki }) }, "refused/signature"],
    // Downgrade: the signed bytes contain the label, which is the protocol's version, and the purpose.
    ...OTHER_LABELS.map((label): Row => [
      `a signature for the protocol "${label}"`,
      signedBytes,
      { sign: (keys, a2) => signOfVersion(keys.node, label, "request", a2) },
      "refused/signature",
    ]),
    [
      "a signature for another purpose",
      signedBytes,
      { sign: (keys, a2) => signOfVersion(keys.node, "bootstrapper/1", "service", a2) },
      "refused/signature",
    ],
    [
      "a short sealing key",
      checkLength,
      { message: (m) => ({ ...m, sealingKey: new Uint8Array(31) }) },
      "malformed/join-message",
    ],
    [
      "no signature",
      checkLength,
      { message: (m) => ({ ...m, signature: new Uint8Array() }) },
      "malformed/join-message",
    ],
    ["no evidence", serveJoin, { evidence: () => Promise.resolve(undefined) }, "malformed/join-message"],
  ];
  for (const [name, stoppedBy, hostility, code] of attacks) {
    await t.step(attack(name, stoppedBy), async () => {
      await refusedByService(cluster, hostility, code);
    });
  }
  for (const csr of ["clientCsr", "servingCsr"]) {
    await t.step(attack(`a CSR with extensions, ${csr}`, readCsr), async () => {
      // The CSR asks for names of its own. No attribute is allowed at all.
      await refusedByService(cluster, { request: { [csr]: await csrWithExtensions() } }, "refused/csr-attributes");
    });
  }
});

/** A CSR for the node that also asks for a server's name. */
async function csrWithExtensions(): Promise<Bytes> {
  const { stdout } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"],
      ...["-subj", `/O=system:nodes/CN=system:node:${NODE_NAME}`, "-addext", "subjectAltName=DNS:kubernetes"],
      ...["-outform", "DER"],
    ],
    stderr: "null",
  }).output();
  return stdout;
}

Deno.test(attack("attack: a hello whose nonce is empty, short or long", checkLength), async () => {
  // Otherwise the node could choose parts of A1.
  await using cluster = await TestCluster.create();
  for (const length of [0, 31, 33]) {
    using dialled = await dialService(cluster.port);
    await dialled.exchange.send({ message: { $case: "hello", hello: { clientNonce: new Uint8Array(length) } } });
    await assert.rejects(dialled.exchange.receive("proposal", PATIENCE_MS), { code: "malformed/join-message" });
  }
  assertUntouched(cluster);
});

const otherName = attack(
  "attack: another machine asks for a member's name, and a member for another name",
  AdmissionRecords,
);
Deno.test(otherName, async () => {
  // Refused before anything is signed.
  await using cluster = await TestCluster.create();
  const keys = await newNodeKeys();
  await joinByHand(cluster.port, { keys });
  cluster.signed.length = cluster.signedServing.length = 0;
  await refusedByService(cluster, {}, "conflict/node-name");
  await refusedByService(cluster, { keys, request: { nodeName: "worker-2" } }, "conflict/identity");
});
