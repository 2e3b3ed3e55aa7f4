/**
 * The operator's verdict on a fresh node, which leaves the node fresh.
 *
 * @module
 */
import type { Evidence, EvidenceCheck, EvidenceVerifier } from "../attestation/evidence.ts";
import type { AcceptedTrust } from "../attestation/policy/accepted_trust.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { dialInitServer } from "./_dial.ts";
import type { ConfiguredTrust } from "./expectation.ts";
import { initExpectation } from "./expectation.ts";
import type { InitClientDeadlines, VerifiedNode } from "./exchange_client.ts";
import { INIT_CLIENT_DEADLINES, verifyNode } from "./exchange_client.ts";

/** A fresh node, and the operator who asks it. */
export interface FreshNode extends ConfiguredTrust {
  /** `host:port` of its InitServer. */
  readonly endpoint: string;
  /** The key of one of the node's operators. No other caller gets evidence. */
  readonly operator: KeyPair;
  /** Gives what is accepted of the node's configuration, for evidence that is not verified yet. */
  accepts(evidence: Evidence): AcceptedTrust;
  /** Ends the call. */
  readonly signal: AbortSignal;
  /** Default: {@linkcode INIT_CLIENT_DEADLINES}. */
  readonly deadlines?: InitClientDeadlines;
}

/**
 * Verifies a fresh node as an init does, including the challenge to its TPM. It leaves without a request, so the node
 * stays fresh. Like any hello of the operator, it ends an init of the same operator that has not locked the node yet.
 *
 * @param verifier Judges the evidence.
 * @param report Called with every check.
 * @throws {BootstrapError} `unavailable/init-server`, `refused/…`, `malformed/…`, or the error with which the node
 *   refused.
 */
export async function verifyFreshNode(
  node: FreshNode,
  verifier: Pick<EvidenceVerifier, "verify">,
  report?: (check: EvidenceCheck) => void,
): Promise<VerifiedNode> {
  const { endpoint, operator, signal, deadlines = INIT_CLIENT_DEADLINES } = node;
  using dialled = await dialInitServer(endpoint, signal);
  const expectationFor = (clusterId: Uint8Array, evidence: Evidence) =>
    initExpectation(node, node.accepts(evidence), clusterId, false);
  return await verifyNode(dialled.exchange, operator, verifier, expectationFor, deadlines, report);
}
