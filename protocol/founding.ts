/**
 * The founding: an operator's statement that a cluster ID and a cluster name belong together.
 *
 * @module
 */
import { refusal } from "./refusal.ts";
import { clusterIdText } from "../certificate/cluster_id.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { sign, verify } from "./signature.ts";
import { equalBytes, hex } from "../platform/bytes.ts";
import type { Founding } from "../proto/gen/bootstrapper.ts";
import { foundingStatement } from "./transcript.ts";
import type { ClusterTrust } from "./transcript.ts";

/** Founds a cluster: makes the signature that every node of the operator trusts. It cannot be revoked. */
export async function createFounding(operator: KeyPair, clusterId: Uint8Array, clusterName: string): Promise<Founding> {
  return {
    operatorKey: operator.spki,
    clusterName,
    clusterId,
    signature: await sign(operator, "founding", foundingStatement(clusterId, clusterName)),
  };
}

/**
 * Checks that one of the operators signed a founding, and that it is for exactly this cluster.
 *
 * @param founding The founding, from a peer or a file.
 * @param trust The verifier's own configuration. Its cluster ID is ignored.
 * @param clusterId The expected cluster ID, 32 bytes.
 * @throws {BootstrapError} `refused/founding-operator`, `refused/founding-name`, `refused/founding-cluster-id`,
 *   `refused/signature`.
 */
export async function checkFounding(founding: Founding, trust: ClusterTrust, clusterId: Uint8Array): Promise<void> {
  if (!trust.operatorKeys.some((key) => equalBytes(key, founding.operatorKey))) {
    const expected = trust.operatorKeys.map(hex).join(" or ");
    throw refusal(
      "founding-operator",
      "The founding is not signed by an operator of this node",
      expected,
      hex(founding.operatorKey),
    );
  }
  if (founding.clusterName !== trust.clusterName) {
    throw refusal(
      "founding-name",
      "The founding is for a cluster with another name",
      trust.clusterName,
      founding.clusterName,
    );
  }
  if (!equalBytes(founding.clusterId, clusterId)) {
    const seen = hex(founding.clusterId);
    throw refusal("founding-cluster-id", "The founding is for another cluster ID", clusterIdText(clusterId), seen);
  }
  const statement = foundingStatement(clusterId, trust.clusterName);
  await verify(founding.operatorKey, "founding", statement, founding.signature);
}
