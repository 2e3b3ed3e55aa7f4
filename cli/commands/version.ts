/**
 * `bootstrapper version`: what this program is.
 *
 * @module
 */
import type { Command } from "commander";
import project from "../../deno.json" with { type: "json" };
import { LABEL } from "../../protocol/transcript.ts";
import { fromUtf8 } from "../../platform/bytes.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { optionalText, outputForm, present, withOutput } from "../options.ts";
import { printResult } from "../output.ts";
import { dropPermissions } from "../permissions.ts";

/** The version of this program. */
export const VERSION: string = project.version;

/**
 * Declares `version`.
 *
 * @internal
 */
export function declareVersion(program: Command, context: CliContext): void {
  withOutput(program.command("version").description("print the version, the protocol and the runtime"))
    .action((_options: unknown, command: Command) => {
      const commit = optionalText(program, "builtFrom");
      return version({ output: outputForm(command), ...present("commit", commit) }, context);
    });
}

/** The options of `version`. */
export interface VersionOptions {
  /** The commit that this binary was built from: `deno compile` bakes `--built-from` into its arguments. */
  readonly commit?: string;
  /** How to print. */
  readonly output: OutputForm;
}

/** Prints version, protocol label, Deno's version and, where it is known, the commit. */
export async function version(options: VersionOptions, context: CliContext): Promise<void> {
  await dropPermissions("version", context.permissions);
  const result = {
    version: VERSION,
    protocol: fromUtf8(LABEL, "label"),
    deno: Deno.version.deno,
    target: Deno.build.target,
    ...present("commit", options.commit),
  };
  const text = Object.entries(result).map(([name, value]) => `${name.padEnd(10)}${value}\n`).join("");
  printResult(context, options.output, result, text);
}
