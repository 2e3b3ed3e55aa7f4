import { PeerError } from "../protocol/refusal.ts";
import type { ClusterRecord } from "./cluster_records.ts";

/**
 * Says how to go on, and how to start over, when a node has failed after its lock in a way that time does not fix. The
 * cluster has no other member, so nothing is lost when it is given up.
 *
 * @param record The record of the name after the init.
 * @returns Sentences without a full stop; `undefined` for other errors.
 */
export function startOverAdvice(
  error: unknown,
  record: Pick<ClusterRecord, "state" | "clusterName"> | undefined,
): string | undefined {
  if (record?.state !== "pending" || !(error instanceof PeerError) || error.retriable || error.isFresh) {
    return undefined;
  }
  return "The node is locked for this init. Once it is repaired, run init again: it goes on with the same operation. " +
    `To start over with other settings: \`bootstrapper reset\` on the node, \`bootstrapper abandon ${record.clusterName}\` ` +
    "here, and init again";
}
