/**
 * `bootstrapper network apply`: gives a cluster the manifests of a network plug-in.
 *
 * @module
 */
import { MINUTE_MS } from "../../platform/duration.ts";
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { readDuration } from "../duration.ts";
import { isSet, optionalText, outputForm, requiredText } from "../options.ts";
import type { NetworkApplyOptions } from "../programs/network_apply.ts";

const DEFAULT_WAIT = "10m";
/** How long it takes at most to apply the objects if `--wait` is not given. */
const DEFAULT_PATIENCE_MS = 10 * MINUTE_MS;

/** Applies manifests. */
export const networkApply: CliCommand<NetworkApplyOptions> = {
  name: "network apply",
  group: "For operators:",
  description: "apply the manifests of a network plug-in to a cluster",
  notes: "It takes no field of an object from another program, and names that program.",
  examples: ["bootstrapper network apply kube-flannel.yml \\\n  --kubeconfig demo.kubeconfig --wait"],
  keeps: ["env", "net", "read"],
  declare(command) {
    command.argument("<file...>", "manifests, or folders of them")
      .requiredOption("--kubeconfig <file>", "the operator's kubeconfig")
      .option(
        "--wait [duration]",
        `wait up to this long (${DEFAULT_WAIT}) until all is ready`,
      );
  },
  read(parsed) {
    const wait = isSet(parsed, "wait") ? DEFAULT_WAIT : optionalText(parsed, "wait");
    const waitMs = wait === undefined ? undefined : readDuration(wait, "--wait");
    return {
      paths: parsed.args,
      kubeconfigFile: requiredText(parsed, "kubeconfig"),
      patienceMs: waitMs ?? DEFAULT_PATIENCE_MS,
      ...present("waitMs", waitMs),
      output: outputForm(parsed),
    };
  },
  async action(options, context) {
    await (await import("../programs/network_apply.ts")).networkApply(options, context);
  },
};
