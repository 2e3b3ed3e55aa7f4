/**
 * The token founding: the statement of a founding token's holder that a cluster ID belongs to a trust part.
 *
 * @module
 */
import { clusterIdText } from "../certificate/cluster_id.ts";
import type { KeyPair } from "../certificate/keys.ts";
import type { Bytes } from "../platform/bytes.ts";
import { hex } from "../platform/bytes.ts";
import { BootstrapError, hasCode } from "../platform/errors.ts";
import { refusal } from "./refusal.ts";
import { sign, verify } from "./signature.ts";
import type { TrustPart } from "./transcript.ts";
import { tokenFoundingStatement, trustDigest } from "./transcript.ts";

const NO_CLUSTER_ID = new Uint8Array();

/**
 * Signs that a cluster is the one of a trust part. It cannot be revoked.
 *
 * @param token The key pair of the founding token.
 * @param clusterId 32 bytes.
 * @param trust The founder's own trust part. Its cluster ID is ignored.
 * @returns The signature, 64 bytes.
 * @throws {BootstrapError} `internal/token-founding` if the trust part has another token key.
 */
export async function createTokenFounding(token: KeyPair, clusterId: Uint8Array, trust: TrustPart): Promise<Bytes> {
  if (hex(trust.founding?.tokenKey ?? NO_CLUSTER_ID) !== hex(token.spki)) {
    throw new BootstrapError("internal/token-founding", "The founding token is not the one of the trust part");
  }
  return await sign(token, "token-founding", await statementOf(clusterId, trust));
}

/**
 * Checks that a holder of the token founded exactly this cluster, for exactly this trust part.
 *
 * @param signature From a peer.
 * @param trust The verifier's own trust part. Its cluster ID is ignored.
 * @param clusterId The expected cluster ID, 32 bytes.
 * @throws {BootstrapError} `refused/token-founding`.
 */
export async function checkTokenFounding(
  signature: Uint8Array,
  trust: TrustPart,
  clusterId: Uint8Array,
): Promise<void> {
  const tokenKey = trust.founding?.tokenKey ?? NO_CLUSTER_ID;
  const expected = `a signature by trust.founding.tokenKey for ${clusterIdText(clusterId)} and this node's trust part`;
  if (tokenKey.length === 0) {
    const message = "A token founding proves nothing to a node whose configuration has no token key";
    throw refusal("token-founding", message, "trust.founding.tokenKey", "no token key");
  }
  if (signature.length === 0) {
    const message = "The cluster shows no token founding, and this node's configuration has a token key";
    throw refusal("token-founding", message, expected, "no signature");
  }
  try {
    await verify(tokenKey, "token-founding", await statementOf(clusterId, trust), signature);
  } catch (error) {
    if (!hasCode(error, "refused/signature")) throw error;
    const message = "The token founding is not for this cluster and this node's trust part";
    throw refusal("token-founding", message, expected, "another signature");
  }
}

/** D12 covers no cluster ID: nobody knows it before the cluster is founded. */
async function statementOf(clusterId: Uint8Array, trust: TrustPart): Promise<Bytes> {
  return tokenFoundingStatement(clusterId, await trustDigest({ ...trust, clusterId: NO_CLUSTER_ID }));
}
