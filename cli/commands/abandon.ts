/**
 * `bootstrapper abandon`: marks a cluster as abandoned, so that its name can be used again.
 *
 * @module
 */
import { clusterNameArgument } from "../cluster_name.ts";
import type { CliCommand } from "../command.ts";
import type { OutputForm } from "../context.ts";
import { firstArgument, outputForm, recordsFolder, withRecords } from "../options.ts";
import { printResult } from "../output.ts";

/** The options of `abandon`. */
export interface AbandonOptions {
  readonly clusterName: string;
  /** The folder of the operator's cluster records. */
  readonly recordsFolder: string;
  readonly output: OutputForm;
}

/** Marks the record of a cluster as abandoned. */
export const abandon: CliCommand<AbandonOptions> = {
  name: "abandon",
  group: "For operators:",
  description: "mark a cluster as abandoned, so that its name can be reused",
  examples: ["bootstrapper abandon demo"],
  keeps: ["read", "write"],
  declare(command) {
    withRecords(command.argument("<name>", "the cluster's name"));
  },
  read: (parsed, context) => ({
    clusterName: clusterNameArgument(firstArgument(parsed)),
    recordsFolder: recordsFolder(parsed, context),
    output: outputForm(parsed),
  }),
  async action({ clusterName, recordsFolder, output }, context) {
    const { abandonCluster } = await import("../../operator/cluster_records.ts");
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
  },
};
