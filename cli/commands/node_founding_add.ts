/**
 * `bootstrapper node founding add`: lets this control plane's join service show an operator's founding.
 *
 * @module
 */
import type { CliCommand } from "../command.ts";
import { firstArgument, outputForm } from "../options.ts";
import type { FoundingAddOptions } from "../programs/node_founding.ts";

/** Adds a founding to those that the join service of this machine shows, from its next start on. */
export const nodeFoundingAdd: CliCommand<FoundingAddOptions> = {
  name: "node founding add",
  group: "For operators:",
  description: "let this control plane show an operator's founding to nodes that join",
  notes: "Call it on each control plane, and start its join service again. Control planes\n" +
    "that join later get the founding with their ticket.",
  examples: ["bootstrapper node founding add demo.founding"],
  needsRoot: true,
  keeps: ["env", "read", "write"],
  declare(command) {
    command.argument("<file>", "what `bootstrapper node founding sign` printed");
  },
  read: (parsed) => ({ file: firstArgument(parsed), output: outputForm(parsed) }),
  async action(options, context) {
    await (await import("../programs/node_founding.ts")).foundingAdd(options, context);
  },
};
