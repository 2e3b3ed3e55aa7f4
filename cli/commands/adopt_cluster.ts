/**
 * `bootstrapper adopt cluster`: gives a cluster that kubeadm made records and a founding.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import { clusterNameArgument } from "../cluster_name.ts";
import type { CliCommand } from "../command.ts";
import { isSet, optionalText, outputForm, recordsFolder, requiredText, withRecords } from "../options.ts";
import type { AdoptClusterOptions } from "../programs/adopt_cluster.ts";

/** Shows what an adoption does, asks, signs the founding, and makes the cluster's records. */
export const adoptCluster: CliCommand<AdoptClusterOptions> = {
  name: "adopt cluster",
  group: "For operators:",
  description: "give a cluster that kubeadm made a founding and records",
  notes: "Kubelets go on as before. A founding cannot be revoked. The next step is\n" +
    "`bootstrapper adopt here` on each control plane.",
  examples: [
    "bootstrapper adopt cluster --kubeconfig admin.conf --name demo --plan \\\n  --policy policy.yaml --key operator.key",
  ],
  keeps: ["env", "net", "read", "write"],
  declare(command) {
    withRecords(
      command.requiredOption("--kubeconfig <file>", "an administrator's kubeconfig of the cluster")
        .requiredOption("--name <name>", "the cluster's name in the nodes' configuration")
        .requiredOption("--policy <file>", "the policy that nodes must satisfy")
        .requiredOption("--key <file>", "the operator's private key")
        .option("--passphrase-file <file>", "passphrase of the key (default: from the terminal)")
        .option("--plan", "show what would be done, and change nothing")
        .option("--yes", "do not ask for confirmation"),
    );
  },
  read: (parsed, context) => ({
    kubeconfigFile: requiredText(parsed, "kubeconfig"),
    clusterName: clusterNameArgument(requiredText(parsed, "name")),
    policyFile: requiredText(parsed, "policy"),
    keyFile: requiredText(parsed, "key"),
    ...present("passphraseFile", optionalText(parsed, "passphraseFile")),
    ...{ onlyPlan: isSet(parsed, "plan"), yes: isSet(parsed, "yes") },
    recordsFolder: recordsFolder(parsed, context),
    output: outputForm(parsed),
  }),
  async action(options, context) {
    await (await import("../programs/adopt_cluster.ts")).adoptCluster(options, context);
  },
};
