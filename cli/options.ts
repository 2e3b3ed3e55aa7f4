/**
 * Options that several commands have, and options read with their types.
 *
 * @module
 */
import type { Command } from "commander";
import { Option } from "commander";
import { join } from "node:path";
import { BootstrapError } from "../platform/errors.ts";
import type { CliContext, OutputForm } from "./context.ts";
import { OUTPUT_FORMS } from "./context.ts";

/**
 * Adds `--output`, which every subcommand has.
 *
 * @internal
 */
export function withOutput(command: Command): Command {
  return command.addOption(
    new Option("--output <form>", "output format: text or json (default: text)").choices(OUTPUT_FORMS).default("text"),
  );
}

/**
 * Adds `--config`, which every subcommand of a node has.
 *
 * @internal
 */
export function withConfig(command: Command): Command {
  return command.option(
    "--config <file>",
    "the node's configuration (default: the systemd credential bootstrapper.config if it exists, otherwise /etc/bootstrapper/config.yaml)",
  );
}

/**
 * Adds `--records`, which the commands have that keep records of clusters.
 *
 * @internal
 */
export function withRecords(command: Command): Command {
  return command.option("--records <folder>", "cluster records (default: ~/.config/bootstrapper)");
}

/** The folder of the operator's records. */
export function recordsFolder(command: ParsedOptions, context: CliContext): string {
  return optionalText(command, "records") ?? join(context.environment.configFolder, "bootstrapper");
}

/** The options of a subcommand as they were given. */
export interface ParsedOptions {
  /** The value of an option by its long name in camel case. */
  getOptionValue(key: string): unknown;
}

/** The first argument of a command that commander requires one of. */
export function firstArgument({ args: [first] }: { readonly args: readonly string[] }): string {
  if (first === undefined) throw new BootstrapError("internal/argument", "The first argument has no value");
  return first;
}

/** The form in which a parsed command is to print. */
export function outputForm(command: ParsedOptions): OutputForm {
  return optionalText(command, "output") === "json" ? "json" : "text";
}

/**
 * The form in which to print an error of the command line itself, which could not be parsed.
 *
 * @param args The arguments as they were given.
 */
export function outputFormOfArguments(args: readonly string[]): OutputForm {
  const isJson = args.some((arg, index) =>
    arg === "--output=json" || (arg === "--output" && args[index + 1] === "json")
  );
  return isJson ? "json" : "text";
}

/** The value of an option that was given once, or `undefined`. `key` is the option's long name in camel case. */
export function optionalText(command: ParsedOptions, key: string): string | undefined {
  const value: unknown = command.getOptionValue(key);
  return typeof value === "string" ? value : undefined;
}

/** The value of an option that commander requires or gives a default. */
export function requiredText(command: ParsedOptions, key: string): string {
  const value = optionalText(command, key);
  if (value === undefined) throw new BootstrapError("internal/option", `The option "${key}" has no value`);
  return value;
}

/** The values of an option that may be given several times. */
export function textList(command: ParsedOptions, key: string): readonly string[] {
  const value: unknown = command.getOptionValue(key);
  return Array.isArray(value) ? value.map(String) : [];
}

/** Whether an option without a value was given. */
export function isSet(command: ParsedOptions, key: string): boolean {
  return command.getOptionValue(key) === true;
}
