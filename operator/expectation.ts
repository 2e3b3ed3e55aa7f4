/**
 * What a node that is initialised must show.
 *
 * @module
 */
import type { Expectation } from "../attestation/evidence.ts";
import { FRESH } from "../attestation/evidence.ts";
import { lockDigest, trustDigest } from "../protocol/transcript.ts";
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
 * @param clusterId The cluster ID that the node proposes, 32 bytes.
 */
export async function initExpectation(
  { clusterName, operatorKeys }: ConfiguredTrust,
  clusterId: Uint8Array,
  isLocked: boolean,
): Promise<Expectation> {
  return {
    trust: [await trustDigest({ clusterName, clusterId: new Uint8Array(), operatorKeys })],
    lock: [isLocked ? await lockDigest(clusterId) : FRESH],
    identity: hex(clusterId),
  };
}
