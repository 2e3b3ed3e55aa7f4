/**
 * Attacks on a join service by what a node asks for. None depends on the kind of evidence: what is asked is checked beside it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createNodeCsr } from "../../../certificate/csr.ts";
import { generateKeyPair } from "../../../certificate/keys.ts";
import { dialService, newInsecureIssuer, TestCluster } from "../../exchanges/join_world.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { randomBytes } from "../../../platform/bytes.ts";
import type { Hostility } from "./join_attacks.ts";
import { assertUntouched, joinByHand, NODE_NAME, refusedByService } from "./join_attacks.ts";
import { PATIENCE_MS } from "./attacks.ts";
import { OTHER_LABELS, signOfVersion } from "./statements.ts";

Deno.test("attack: a request that is not exactly the node's own", async (t) => {
  await using cluster = await TestCluster.create();
  const other = await generateKeyPair("p-256");
  const attacks: readonly (readonly [name: string, hostility: Hostility, code: string])[] = [
    // A member's name, or one of the system's: stopped by checkNodeCsr().
    ["a CSR for another node", { request: { csr: await createNodeCsr(other, "cp-1") } }, "refused/csr-subject"],
    // The key is not the one that the evidence names: stopped by checkNodeCsr().
    ["a CSR for another key", { request: { csr: await createNodeCsr(other, NODE_NAME) } }, "refused/csr-key"],
    // Stopped by readCsr().
    ["a CSR that is none", { request: { csr: randomBytes(300) } }, "malformed/der"],
    // A name that would be another Kubernetes user or path: stopped by readRequest().
    ["a name that is no label", { request: { nodeName: "../../secrets" } }, "malformed/join-request"],
    ["a role that is none", { request: { role: "admin" as "worker" } }, "malformed/join-request"],
    // Stopped by checkClockSkew(), which shows both clocks.
    ["a clock far ahead", { request: { timeMs: BigInt(Date.now() + 3_600_000) } }, "precondition/clock-skew"],
    ["a clock far behind", { request: { timeMs: 0n } }, "precondition/clock-skew"],
    ["addresses that would break out of a record", { request: { addresses: ["a,b"] } }, "malformed/join-request"],
    // Stopped by checkPolicy(): the role is the policy's.
    ["a control plane's role for a worker", { request: { role: "control-plane" } }, "refused/role"],
    ["a kubelet newer than the cluster", { request: { kubeletVersion: "v1.99.0" } }, "precondition/version-skew"],
    // Stopped by `verify(nodeKey, "request", a2, …)`: all of it is signed together.
    [
      "a request that was changed after it was signed",
      { message: (m) => ({ ...m, request: m.request.with(5, (m.request[5] ?? 0) ^ 1) }) },
      "refused/signature",
    ],
    ["another sealing key", { message: (m) => ({ ...m, sealingKey: randomBytes(32) }) }, "refused/signature"],
    ["another node key", { message: (m) => ({ ...m, nodeKey: other.spki }) }, "refused/signature"],
    // Downgrade: signedBytes() holds the label, which is the protocol's version, and the purpose.
    ...OTHER_LABELS.map((label): [string, Hostility, string] => [
      `a signature for the protocol "${label}"`,
      { sign: (keys, a2) => signOfVersion(keys.node, label, "request", a2) },
      "refused/signature",
    ]),
    [
      "a signature for another purpose",
      { sign: (keys, a2) => signOfVersion(keys.node, "bootstrapper/1", "service", a2) },
      "refused/signature",
    ],
    // Stopped by checkLength().
    ["a short sealing key", { message: (m) => ({ ...m, sealingKey: new Uint8Array(31) }) }, "malformed/join-message"],
    ["no signature", { message: (m) => ({ ...m, signature: new Uint8Array() }) }, "malformed/join-message"],
    // Stopped by receiveRequest().
    ["no evidence", { evidence: () => Promise.resolve(undefined) }, "malformed/join-message"],
  ];
  for (const [name, hostility, code] of attacks) {
    await t.step(name, async () => {
      await refusedByService(cluster, hostility, code);
    });
  }
  await t.step("a CSR with extensions", async () => {
    // It asks for names of its own. Stopped by readCsr(), which takes no attribute at all.
    await refusedByService(cluster, { request: { csr: await csrWithExtensions() } }, "refused/csr-attributes");
  });
});

/** A CSR for the node that also asks for a name of a server. */
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

Deno.test("attack: a hello whose nonce is empty, short or long", async () => {
  // The node would choose what A1 is made of. Stopped by checkLength() in receiveHello().
  await using cluster = await TestCluster.create();
  for (const length of [0, 31, 33]) {
    using dialled = await dialService(cluster.port);
    await dialled.exchange.send({ message: { $case: "hello", hello: { clientNonce: new Uint8Array(length) } } });
    await assert.rejects(dialled.exchange.receive("proposal", PATIENCE_MS), { code: "malformed/join-message" });
  }
  assertUntouched(cluster);
});

Deno.test("attack: a control plane is asked for where the service has no keys, or evidence proves nothing", async () => {
  // Stopped by checkPolicy(), before anything is on record. A policy of the kind none cannot name a control plane at all.
  await using cluster = await TestCluster.create({ service: { roleOf: () => "control-plane" } });
  await refusedByService(cluster, { request: { role: "control-plane" } }, "unavailable/cluster-keys");
});

Deno.test("attack: another machine asks for a member's name, and a member for another name", async () => {
  // Stopped by AdmissionRecords.admit(), before anything is signed.
  await using cluster = await TestCluster.create();
  const member = newInsecureIssuer();
  await joinByHand(cluster.port, { issuer: member });
  cluster.signed.length = 0;
  await refusedByService(cluster, {}, "conflict/node-name");
  await refusedByService(cluster, { issuer: member, request: { nodeName: "worker-2" } }, "conflict/identity");
});
