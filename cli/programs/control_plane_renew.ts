/**
 * The command `bootstrapper control-plane renew`, with this machine's programs and folders.
 *
 * @module
 */
import { Kubeadm } from "../../kubernetes/kubeadm.ts";
import { renewControlPlane } from "../../node/control_plane_renewal.ts";
import { controlPlaneRenewal } from "../../node/control_plane_renewal_effects.ts";
import { memberSelf } from "../../node/own_self.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { printResult } from "../output.ts";
import { terminationSignal } from "../termination.ts";

/** The options of `control-plane renew`. */
export interface ControlPlaneRenewOptions {
  /** Whether to renew in the first two thirds of the certificates' life too. */
  readonly isNow: boolean;
  /** Whether to believe the clock, even if it was later before. */
  readonly acceptsClock: boolean;
  readonly output: OutputForm;
}

/**
 * Renews this control plane's certificates if two thirds of their life are over, or if the caller says so. Prints until
 * when they are valid.
 *
 * @throws {BootstrapError} As `renewControlPlane()`.
 */
export async function controlPlaneRenew(options: ControlPlaneRenewOptions, context: CliContext): Promise<void> {
  using termination = terminationSignal();
  const { paths, clock, log, commands } = context;
  const kubeadm = new Kubeadm({
    commands,
    privateFolder: paths.run,
    kubernetesFolder: paths.kubernetes,
    kubeletFolder: paths.kubelet,
  });
  const deps = controlPlaneRenewal({ paths, clock, log, commands, kubeadm, self: await memberSelf(paths) });
  const { signal } = termination;
  const { state, until } = await renewControlPlane(deps, signal, options).catch((cause) => {
    throw signal.aborted ? new BootstrapError("aborted/run", "The renewal was stopped", { cause }) : cause;
  });
  const end = until.toISOString();
  const text = state === "renewed"
    ? `The control plane's certificates are renewed; the first of them ends at ${end}.`
    : `The control plane's certificates are valid; the first of them ends at ${end}. They are renewed in the last third of their life, or with --now.`;
  printResult(context, options.output, { state, until: end }, text);
}
