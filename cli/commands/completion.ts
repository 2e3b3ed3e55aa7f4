/**
 * `bootstrapper completion`: prints what completes its command line in a shell.
 *
 * @module
 */
import { Argument } from "commander";
import type { CliCommand } from "../command.ts";
import { describeCommands } from "../command_description.ts";
import { firstArgument } from "../options.ts";
import type { CompletionOptions } from "../programs/completion.ts";

/** The shells that there are scripts for. */
const SHELLS = ["bash", "zsh", "fish"] as const;

/** Prints a script for a shell. */
export const completion: CliCommand<CompletionOptions> = {
  name: "completion",
  group: "For operators:",
  description: "print a script that completes command lines in a shell",
  examples: [
    "bootstrapper completion bash > /etc/bash_completion.d/bootstrapper",
    'bootstrapper completion zsh > "${fpath[1]}/_bootstrapper"',
    "bootstrapper completion fish > ~/.config/fish/completions/bootstrapper.fish",
  ],
  keeps: [],
  declare(command) {
    command.addArgument(new Argument("<shell>", "the shell").choices(SHELLS));
  },
  read: (parsed) => ({
    shell: SHELLS.find((shell) => shell === firstArgument(parsed)) ?? "bash",
    commands: describeCommands(parsed.known),
  }),
  async action({ shell, commands }, { print }) {
    print((await import("../programs/completion.ts")).completionScript(shell, commands));
  },
};
