/**
 * What a node that is initialised must show.
 *
 * @module
 */
import type { Expectation } from "../attestation/evidence.ts";
import { FRESH } from "../attestation/evidence.ts";
import type { AcceptedTrust } from "../attestation/policy/accepted_trust.ts";
import { trustExpectation } from "../attestation/policy/accepted_trust.ts";
import { lockDigest } from "../protocol/transcript.ts";
import { hex } from "../platform/bytes.ts";

/** What a node is configured with, beside a cluster ID, which it must not be. */
export interface ConfiguredTrust {
  /** The cluster's name. */
  readonly clusterName: string;
  /** SPKIs of all its operators, DER. */
  readonly operatorKeys: readonly Uint8Array[];
}

/**
 * The trust part of the configuration, and the lock of a fresh node, or of one that is locked for a cluster ID.
 *
 * @param accepted What is accepted of the rest of the node's configuration.
 * @param clusterId The cluster ID that the node proposes, 32 bytes.
 */
export async function initExpectation(
  cluster: ConfiguredTrust,
  accepted: AcceptedTrust,
  clusterId: Uint8Array,
  isLocked: boolean,
): Promise<Expectation> {
  return {
    ...await trustExpectation(accepted, cluster, [new Uint8Array()]),
    lock: [isLocked ? await lockDigest(clusterId) : FRESH],
    identity: hex(clusterId),
  };
}
