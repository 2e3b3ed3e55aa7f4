/**
 * The expected registers of a node that is being initialised.
 *
 * @module
 */
import type { RegisterExpectation } from "../attestation/evidence.ts";
import { extendedOnce, lockDigest, trustDigest } from "../protocol/transcript.ts";
import { hex } from "../platform/bytes.ts";

const ZERO_REGISTER = new Uint8Array(32);

/** The configuration of a node, without a cluster ID: such a node must not have one. */
export interface ConfiguredTrust {
  readonly clusterName: string;
  /** SPKIs of all its operators, DER. */
  readonly operatorKeys: readonly Uint8Array[];
}

/**
 * PCR 12 over the configuration, and PCR 15 of a node that is fresh, or that is locked for a cluster ID.
 *
 * @param clusterId The cluster ID that the node proposes, 32 bytes.
 */
export async function expectedRegisters(
  { clusterName, operatorKeys }: ConfiguredTrust,
  clusterId: Uint8Array,
  isLocked: boolean,
): Promise<RegisterExpectation> {
  const trust = await trustDigest({ clusterName, clusterId: new Uint8Array(), operatorKeys });
  const locked = await lockDigest(clusterId);
  return {
    trust: [await extendedOnce(trust)],
    trustDigests: [trust],
    lock: [isLocked ? await extendedOnce(locked) : ZERO_REGISTER],
    lockDigests: [isLocked ? locked : ZERO_REGISTER],
    identity: hex(clusterId),
  };
}
