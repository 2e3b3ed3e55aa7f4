/**
 * `bootstrapper adopt here`: adopts this machine, a node that kubeadm made.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import type { Machine } from "../machine.ts";
import { isSet, optionalText, outputForm, withConfig } from "../options.ts";
import type { AdoptHereOptions } from "../programs/adopt_here.ts";

/** Makes a control plane a signer, and lets a worker prove itself in place. */
export const adoptHere: CliCommand<AdoptHereOptions, Machine> = {
  name: "adopt here",
  group: "For operators:",
  description: "adopt this machine, a node that kubeadm made",
  notes: "It follows `adopt cluster`. The machine's configuration must name the cluster's\n" +
    "ID, its operators and the machine's role. Pods go on.",
  examples: ["bootstrapper adopt here --plan", "bootstrapper adopt here"],
  needsRoot: true,
  keeps: ["env", "net", "read", "run", "sys", "write"],
  declare(command) {
    withConfig(
      command.option("--plan", "show the machine's identity and the steps, and change nothing")
        .option("--yes", "do not ask for confirmation"),
    );
  },
  read: (parsed) => ({
    ...present("config", optionalText(parsed, "config")),
    ...{ onlyPlan: isSet(parsed, "plan"), yes: isSet(parsed, "yes") },
    output: outputForm(parsed),
  }),
  async open(_options, context) {
    return await (await import("../machine.ts")).openMachine(context);
  },
  async action(options, context, machine) {
    await (await import("../programs/adopt_here.ts")).adoptHere(options, context, machine);
  },
};
