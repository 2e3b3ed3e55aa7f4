/**
 * `bootstrapper node reattest`: ends today's node certificates, by raising the epoch: when nodes have newer ones, or at
 * once.
 *
 * @module
 */
import { KubernetesApi } from "../../kubernetes/api.ts";
import { raiseEpoch, readEpochs } from "../../kubernetes/epochs.ts";
import { readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import { LONGEST_NODE_CERTIFICATE_MS } from "../../kubernetes/settings.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { printResult } from "../output.ts";

/** The options of `node reattest`. */
export interface NodeReattestOptions {
  readonly kubeconfigFile: string;
  /** Whether certificates of earlier epochs end at once. */
  readonly atOnce: boolean;
  /** Whether to skip the confirmation. */
  readonly yes: boolean;
  readonly output: OutputForm;
}

/** Raises the epoch of node certificates, after confirmation. */
export async function nodeReattest(
  { kubeconfigFile, atOnce, yes, output }: NodeReattestOptions,
  context: CliContext,
): Promise<void> {
  using api = new KubernetesApi(await readKubeconfig(kubeconfigFile));
  const before = await readEpochs(api);
  const what = atOnce
    ? "API servers refuse every node within seconds, until it has attested again: within 80 minutes by itself, or at once by `bootstrapper renew --now`."
    : "Nodes get certificates of the new epoch when they renew; the old epoch ends when none needs it.";
  if (!yes) context.printError(`This raises the epoch of node certificates from ${before.current}. ${what}\n`);
  if (!yes && !await context.terminal.confirm("Go on?")) {
    throw new BootstrapError("aborted/prompt", "The epoch was not raised, as the answer was no", {
      next: "Nothing was changed",
    });
  }
  const untilMs = atOnce ? 0 : context.clock.now().getTime() + LONGEST_NODE_CERTIFICATE_MS;
  const { current, ending } = await raiseEpoch(api, before.current, untilMs);
  const result = { state: "raised", before: before.current, current, ending: ending.map(({ epoch }) => epoch) };
  printResult(context, output, result, `The epoch is ${current}. ${what}`);
}
