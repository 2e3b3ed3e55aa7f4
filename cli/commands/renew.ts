/**
 * `bootstrapper renew`: renews the certificates of this node.
 *
 * @module
 */
import { SECOND_MS } from "../../platform/duration.ts";
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { isSet, optionalText, outputForm, withConfig } from "../options.ts";
import type { RenewingMachine, RenewOptions } from "../programs/renew.ts";

/** Renews the node's certificates: from a third of their life on, when the cluster denies them, or now. */
export const renew: CliCommand<RenewOptions, RenewingMachine> = {
  name: "renew",
  group: "On a node:",
  description: "prove again what this node is, and renew its certificates",
  notes: "Does nothing in the first third of their life, unless the API server denies\n" +
    "them. A timer calls it; `bootstrapper status` shows the outcome.",
  examples: ["bootstrapper renew", "bootstrapper renew --now"],
  runsUntilStopped: true,
  needsRoot: true,
  keeps: ["env", "net", "read", "write"],
  declare(command) {
    withConfig(command).option("--now", "renew in the first third of the certificates' life too");
  },
  read: (parsed) => ({
    ...present("config", optionalText(parsed, "config")),
    ...{ isNow: isSet(parsed, "now"), output: outputForm(parsed) },
  }),
  async open(_options, context) {
    const machine = await (await import("../machine.ts")).openMachine(context);
    const bootedAt = new Date(context.clock.now().getTime() - Deno.osUptime() * SECOND_MS);
    return {
      machine,
      bootedAt,
      kubeletVersion: await (await import("../../node/kubelet.ts")).kubeletVersion(context.commands),
    };
  },
  async action(options, context, opened) {
    await (await import("../programs/renew.ts")).renew(options, context, opened);
  },
};
