/**
 * `bootstrapper completion`: makes a script that completes command lines, of the commands' own declarations.
 *
 * @module
 */
import type { CommandDescription } from "../command_description.ts";
import { bashCompletion } from "../completion/bash.ts";
import { fishCompletion } from "../completion/fish.ts";
import { zshCompletion } from "../completion/zsh.ts";

/** A shell that there is a script for. */
export type Shell = "bash" | "fish" | "zsh";

const SCRIPTS: Readonly<Record<Shell, typeof bashCompletion>> = {
  bash: bashCompletion,
  fish: fishCompletion,
  zsh: zshCompletion,
};

/** The options of `completion`. */
export interface CompletionOptions {
  readonly shell: Shell;
  readonly commands: readonly CommandDescription[];
}

/** Returns the script for a shell. */
export function completionScript(shell: Shell, commands: readonly CommandDescription[]): string {
  return SCRIPTS[shell](commands);
}
