/**
 * `bootstrapper abandon`.
 *
 * @module
 */
import { abandonCluster } from "../../operator/cluster_records.ts";
import type { AbandonHandler } from "../commands/abandon.ts";
import { printResult } from "../output.ts";

/** Marks the record of a cluster as abandoned. */
export const abandon: AbandonHandler = async ({ clusterName, recordsFolder, output }, context): Promise<void> => {
  const { clusterId, showsNoLock = false } = await abandonCluster(recordsFolder, clusterName);
  const advice =
    `A founding cannot be revoked: nodes of the name "${clusterName}" that still obey this operator must from now on ` +
    "carry the ID of the next cluster (trust.clusterId), or they may join the abandoned one.";
  printResult(
    context,
    output,
    { clusterName, clusterId: `sha256:${clusterId}`, state: "abandoned", advice },
    [
      `Cluster "${clusterName}" (sha256:${clusterId}) is abandoned; ${
        showsNoLock
          ? "the name may be founded again only on a machine that has a register for the lock."
          : "the name may be founded again."
      }`,
      advice,
    ].join("\n"),
  );
};
