/**
 * `bootstrapper adopt finish`: ends an adoption on this control plane.
 *
 * @module
 */
import { clusterIdText } from "../../certificate/cluster_id.ts";
import { waitForOwnApi, withOwnApi } from "../../node/adopted_control_plane.ts";
import { notAdoptable } from "../../node/adopted_worker.ts";
import { ADOPTION_END, checkAllProven } from "../../node/adoption_end.ts";
import { takeRunLock } from "../../nodelock/run_lock.ts";
import type { CliContext } from "../context.ts";
import type { Machine } from "../machine.ts";
import { printResult } from "../output.ts";
import { terminationSignal } from "../termination.ts";
import type { AdoptedMachineOptions } from "./adopted_machine.ts";
import { confirmed, kubeadmOf, listText, lookHere, runSteps } from "./adopted_machine.ts";

/**
 * Ends the adoption on this control plane.
 *
 * @throws {BootstrapError} `precondition/adoption-unfinished` while nodes have not proven themselves; as
 *   `adopt here`.
 */
export async function adoptFinish(
  options: AdoptedMachineOptions,
  context: CliContext,
  machine: Machine,
): Promise<void> {
  const here = await lookHere(options, context, machine);
  const { self, clusterId } = here;
  const { paths, commands, clock } = context;
  if (self.role !== "control-plane") {
    throw notAdoptable("role", "An adoption is finished on its control planes", "control-plane", self.role);
  }
  using termination = terminationSignal();
  const { signal } = termination;
  await waitForOwnApi({ paths, self, signal, clock });
  await withOwnApi({ paths, self, signal }, checkAllProven);
  const steps = Object.keys(ADOPTION_END);
  await confirmed(options, context, `This ends the adoption on ${self.name}:\n${listText(steps)}`);
  using _runLock = await takeRunLock(paths.state);
  await runSteps(options, context, here, signal, ADOPTION_END, (journal) => ({
    ...{ paths, self, commands, clock, journal, signal },
    kubeadm: kubeadmOf(context),
  }));
  const result = { state: "finished", clusterId: clusterIdText(clusterId), nodeName: self.name, steps };
  const end = `The adoption is finished on ${self.name}: kubelets get certificates by attested exchanges alone.\n` +
    "Next: the same on the other control planes.";
  printResult(context, options.output, result, end);
}
