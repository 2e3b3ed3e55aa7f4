/**
 * `bootstrapper node founding sign`: signs that a cluster which stands already is the operator's, under its name.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import { clusterNameArgument } from "../cluster_name.ts";
import type { CliCommand } from "../command.ts";
import { optionalText, recordsFolder, requiredText, withRecords } from "../options.ts";
import type { FoundingSignOptions } from "../programs/node_founding.ts";

/** Signs a founding, and prints the file for `node founding add`. */
export const nodeFoundingSign: CliCommand<FoundingSignOptions> = {
  name: "node founding sign",
  group: "For operators:",
  description: "sign that a cluster, which its machines founded, is this operator's",
  notes: "A founding cannot be revoked: nodes of the name that obey this operator join\n" +
    "that cluster from then on.",
  examples: ["bootstrapper node founding sign --name demo \\\n  --cluster-id ID --key operator.key > demo.founding"],
  keeps: ["env", "read", "write"],
  declare(command) {
    withRecords(
      command.requiredOption("--name <name>", "the cluster's name in the nodes' configuration")
        .requiredOption("--cluster-id <id>", "the cluster's ID, as `bootstrapper status` shows it")
        .requiredOption("--key <file>", "the operator's private key")
        .option("--passphrase-file <file>", "passphrase of the key (default: from the terminal)"),
    );
  },
  read: (parsed, context) => ({
    clusterName: clusterNameArgument(requiredText(parsed, "name")),
    clusterId: requiredText(parsed, "clusterId"),
    keyFile: requiredText(parsed, "key"),
    recordsFolder: recordsFolder(parsed, context),
    ...present("passphraseFile", optionalText(parsed, "passphraseFile")),
  }),
  async action(options, context) {
    await (await import("../programs/node_founding.ts")).foundingSign(options, context);
  },
};
