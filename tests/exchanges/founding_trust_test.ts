/** A join service expects the founding of its own trust part in D12 of every node. */
import assert from "node:assert/strict";
import type { EvidenceVerifier, Expectation } from "../../attestation/evidence.ts";
import { createInsecureVerifier } from "../../attestation/kinds/none/verifier.ts";
import { TPM_SETTINGS } from "../../attestation/testing/trust.ts";
import { createCertificateAuthority } from "../../certificate/ca.ts";
import { clusterIdOf } from "../../certificate/cluster_id.ts";
import { generateKeyPair } from "../../certificate/keys.ts";
import { hex } from "../../platform/bytes.ts";
import { trustDigest } from "../../protocol/transcript.ts";
import type { ClusterTrust } from "../../protocol/transcript.ts";
import { ask, CLUSTER_NAME, newNode, TestCluster } from "./join_world.ts";

const founding = { size: 3, policyDigest: new Uint8Array(32).fill(8), tokenKey: new Uint8Array(44).fill(9) };

Deno.test("a join service expects its founding in D12 of a node that joins and of one that renews", async () => {
  const operator = await generateKeyPair("ed25519");
  const ca = await createCertificateAuthority(new Date());
  const trust: ClusterTrust = {
    ...{ clusterName: CLUSTER_NAME, clusterId: await clusterIdOf(ca.certificate), operatorKeys: [operator.spki] },
    founding,
  };
  const seen: Expectation[] = [];
  const believing = createInsecureVerifier();
  const verifier: EvidenceVerifier = {
    ...believing,
    verify(evidence, statement, expectation, report) {
      seen.push(expectation);
      return believing.verify(evidence, statement, expectation, report);
    },
  };
  await using cluster = await TestCluster.create({ operator, ca, verifier, service: { trust } });
  const node = await newNode(cluster.trust);
  await ask(cluster.port, node);
  await ask(cluster.port, { ...node, purpose: "renew", lockedTo: trust.clusterId });
  const { founding: _, ...later } = trust;
  // A machine that was made after the founding knows the cluster ID instead.
  const expected = [{ ...trust, clusterId: new Uint8Array() }, trust, later].map(async (one) =>
    hex(await trustDigest({ ...one, ...TPM_SETTINGS }))
  );
  assert.equal(seen.length, 2);
  for (const { trust: digests } of seen) assert.deepEqual(digests.map(hex), await Promise.all(expected));
});
