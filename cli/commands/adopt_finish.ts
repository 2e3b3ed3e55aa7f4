/**
 * `bootstrapper adopt finish`: ends an adoption on this control plane.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import type { Machine } from "../machine.ts";
import { isSet, optionalText, outputForm, withConfig } from "../options.ts";
import type { AdoptedMachineOptions } from "../programs/adopted_machine.ts";

/** Ends the signer of kubelets' certificates on this control plane, when every node has proven itself. */
export const adoptFinish: CliCommand<AdoptedMachineOptions, Machine> = {
  name: "adopt finish",
  group: "For operators:",
  description: "end an adoption on this control plane, when all nodes are proven",
  notes: "API server and controller manager are started again. From then on, kubelets get\n" +
    "certificates by attested exchanges alone. Call it on each control plane.",
  examples: ["bootstrapper adopt finish"],
  needsRoot: true,
  keeps: ["env", "net", "read", "run", "sys", "write"],
  declare(command) {
    withConfig(command.option("--yes", "do not ask for confirmation"));
  },
  read: (parsed) => ({
    ...present("config", optionalText(parsed, "config")),
    yes: isSet(parsed, "yes"),
    output: outputForm(parsed),
  }),
  async open(_options, context) {
    return await (await import("../machine.ts")).openMachine(context);
  },
  async action(options, context, machine) {
    await (await import("../programs/adopt_finish.ts")).adoptFinish(options, context, machine);
  },
};
