/**
 * `bootstrapper network apply`: gives a cluster the manifests of a network plug-in.
 *
 * @module
 */
import { KubernetesApi } from "../../kubernetes/api.ts";
import { readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import { secondsText } from "../../platform/duration.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { printResult } from "../output.ts";
import { terminationSignal } from "../termination.ts";
import { progressPrinter } from "./init_progress.ts";
import { installNetwork, readNetworkFiles } from "./network_files.ts";

/** The options of `network apply`. */
export interface NetworkApplyOptions {
  /** Manifests, and folders of them. */
  readonly paths: readonly string[];
  readonly kubeconfigFile: string;
  /** The time for applying, in milliseconds; with `waitMs`, for waiting too. */
  readonly patienceMs: number;
  /** Set if it waits until the DaemonSets and Deployments are ready. */
  readonly waitMs?: number;
  readonly output: OutputForm;
}

/** Applies the manifests. Ends when all objects are applied and, if requested, are ready. */
export async function networkApply(options: NetworkApplyOptions, context: CliContext): Promise<void> {
  const { clock } = context;
  const startMs = clock.monotonicMs();
  const objects = await readNetworkFiles(options.paths);
  using termination = terminationSignal();
  using api = new KubernetesApi(await readKubeconfig(options.kubeconfigFile), { signal: termination.signal });
  const ready = options.waitMs !== undefined;
  {
    using printer = progressPrinter(context, options.output);
    await installNetwork(api, objects, {
      ...{ clock, deadlineMs: options.patienceMs, signal: termination.signal, untilReady: ready },
    }, printer);
  }
  const durationMs = clock.monotonicMs() - startMs;
  const result = { event: "network", objects: objects.length, ready, durationMs };
  const text = `${objects.length} objects are applied${ready ? " and ready" : ""} after ${secondsText(durationMs)} s.`;
  printResult(context, options.output, result, text);
}
