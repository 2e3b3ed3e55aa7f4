/**
 * `bootstrapper control-plane renew`: renews the certificates of this control plane.
 *
 * @module
 */
import type { CliCommand } from "../command.ts";
import { isSet, outputForm } from "../options.ts";
import type { ControlPlaneRenewOptions } from "../programs/control_plane_renew.ts";

/** Renews kubeadm's certificates and the join service's when two thirds of their life are over, or now. */
export const controlPlaneRenew: CliCommand<ControlPlaneRenewOptions> = {
  name: "control-plane renew",
  group: "On a node:",
  description: "renew the certificates of this control plane and of its join service",
  notes: "Does nothing in the first two thirds of their life. It runs at boot and by\n" +
    "a timer. Where the kubelet runs, the control plane's Pods start anew, one after\n" +
    "the other.",
  examples: ["bootstrapper control-plane renew", "bootstrapper control-plane renew --now"],
  runsUntilStopped: true,
  needsRoot: true,
  keeps: ["env", "net", "read", "run", "write"],
  declare(command) {
    command.option("--now", "renew in the first two thirds of the certificates' life too")
      .option("--accept-clock", "believe the clock, even if it was later before");
  },
  read: (parsed) => ({
    ...{ isNow: isSet(parsed, "now"), acceptsClock: isSet(parsed, "acceptClock"), output: outputForm(parsed) },
  }),
  async action(options, context) {
    await (await import("../programs/control_plane_renew.ts")).controlPlaneRenew(options, context);
  },
};
