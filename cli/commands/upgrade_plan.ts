/**
 * `bootstrapper upgrade plan`: says what an upgrade of Kubernetes would do, and changes nothing.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { optionalText, outputForm, requiredText } from "../options.ts";
import type { ProgramsHere, UpgradePlanOptions } from "../programs/upgrade_plan.ts";

/** Plans an upgrade. This machine's programs are asked for their versions before the permission to run them is dropped. */
export const upgradePlan: CliCommand<UpgradePlanOptions, ProgramsHere> = {
  name: "upgrade plan",
  group: "For operators:",
  description: "say what an upgrade of Kubernetes would do, and what blocks it",
  notes: "It changes nothing. Each step has its commands and the way back. Without --to,\n" +
    "the target is the version of kubeadm on this machine.",
  examples: [
    "bootstrapper upgrade plan --kubeconfig demo.kubeconfig --to v1.37.2",
    "bootstrapper upgrade plan --kubeconfig demo.kubeconfig --output json",
  ],
  keeps: ["env", "net", "read"],
  declare(command) {
    command.requiredOption("--kubeconfig <file>", "the operator's kubeconfig")
      .option("--to <version>", "the version to upgrade to, such as v1.37.2")
      .option("--policy <file>", "the policy that is to be in force, instead of the cluster's");
  },
  read: (parsed) => ({
    kubeconfigFile: requiredText(parsed, "kubeconfig"),
    ...present("to", optionalText(parsed, "to")),
    ...present("policyFile", optionalText(parsed, "policy")),
    output: outputForm(parsed),
  }),
  async open(_options, context) {
    return await (await import("../programs/upgrade_plan.ts")).programsHere(context);
  },
  async action(options, context, here) {
    await (await import("../programs/upgrade_plan.ts")).upgradePlan(options, context, here);
  },
};
