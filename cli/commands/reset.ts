/**
 * `bootstrapper reset`: returns a node to the fresh state.
 *
 * @module
 */
import { exists } from "../../platform/files.ts";
import type { CliCommand } from "../command.ts";
import { isSet, outputForm } from "../options.ts";
import type { ResetOptions } from "../programs/reset.ts";

/** Resets this node, after confirmation. */
export const reset: CliCommand<ResetOptions, boolean> = {
  name: "reset",
  group: "On a node:",
  description: "take this node out of its cluster, and erase its state",
  examples: ["bootstrapper reset"],
  needsRoot: true,
  keeps: ["env", "net", "read", "run", "write"],
  declare(command) {
    command.option("--yes", "do not ask for confirmation")
      .option("--force", "reset even if etcd would lose its quorum or last member, or does not answer");
  },
  read: (parsed) => ({ yes: isSet(parsed, "yes"), force: isSet(parsed, "force"), output: outputForm(parsed) }),
  // Deno needs all permissions to access the TPM's device.
  open: (_options, { paths }) => exists(paths.tpmDevice),
  async action(options, context, hasTpm) {
    await (await import("../programs/reset.ts")).reset(options, context, hasTpm);
  },
};
