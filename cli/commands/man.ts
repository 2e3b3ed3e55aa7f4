/**
 * `bootstrapper man`: writes a manual page for each command.
 *
 * @module
 */
import type { CliCommand } from "../command.ts";
import { describeCommands } from "../command_description.ts";
import { firstArgument, outputForm } from "../options.ts";
import type { ManOptions } from "../programs/man.ts";

/** Writes the manual pages. */
export const man: CliCommand<ManOptions> = {
  name: "man",
  group: "For operators:",
  description: "write manual pages, one for each command, into a folder",
  examples: ["bootstrapper man /usr/local/share/man/man1"],
  keeps: ["read", "write"],
  declare(command) {
    command.argument("<folder>", "where the pages are written; it is made if it is not there");
  },
  read: (parsed) => ({
    folder: firstArgument(parsed),
    commands: describeCommands(parsed.known),
    output: outputForm(parsed),
  }),
  async action(options, context) {
    await (await import("../programs/man.ts")).man(options, context);
  },
};
