/**
 * `bootstrapper renew`: renews the certificates of this node.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import type { Machine } from "../machine.ts";
import { optionalText, outputForm, withConfig } from "../options.ts";
import type { RenewOptions } from "../programs/renew.ts";

/** Renews the node's certificates from a third of their life on. */
export const renew: CliCommand<RenewOptions, Machine> = {
  name: "renew",
  group: "On a node:",
  description: "prove again what this node is, and renew its certificates",
  notes: "Does nothing in the first third of their life. A timer calls it; `bootstrapper status` shows the outcome.",
  examples: ["bootstrapper renew"],
  keeps: ["env", "net", "read", "run", "sys", "write"],
  declare(command) {
    withConfig(command);
  },
  read: (parsed) => ({ ...present("config", optionalText(parsed, "config")), output: outputForm(parsed) }),
  async open(_options, context) {
    return await (await import("../machine.ts")).openMachine(context);
  },
  async action(options, context, machine) {
    await (await import("../programs/renew.ts")).renew(options, context, machine);
  },
};
