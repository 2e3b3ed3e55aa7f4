/**
 * Options that several commands share, and functions that read options with their types.
 *
 * @module
 */
import type { Command } from "commander";
import { Option } from "commander";
import { join } from "node:path";
import { BootstrapError } from "../platform/errors.ts";
import type { CliContext, OutputForm, PrintedForm } from "./context.ts";
import { PRINTED_FORMS } from "./context.ts";

/**
 * Adds `--output`, which every command has.
 *
 * @internal
 */
export function withOutput(command: Command): Command {
  return command.addOption(
    new Option("-o, --output <form>", "text, json or yaml (default: text)").choices(PRINTED_FORMS).default("text"),
  );
}

/**
 * Adds `--config`, for the commands of a node.
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
 * Adds `--records`, for the commands that keep records of clusters.
 *
 * @internal
 */
export function withRecords(command: Command): Command {
  return command.option("--records <folder>", "cluster records (default: ~/.config/bootstrapper)");
}

/** Returns the folder of the operator's cluster records. */
export function recordsFolder(command: ParsedOptions, context: CliContext): string {
  return optionalText(command, "records") ?? join(context.environment.configFolder, "bootstrapper");
}

/** The options that a command was called with. */
export interface ParsedOptions {
  /** Returns the value of an option by its long name in camel case. */
  getOptionValue(key: string): unknown;
}

/** Returns the first argument of a command for which commander requires one. */
export function firstArgument({ args: [first] }: { readonly args: readonly string[] }): string {
  if (first === undefined) throw new BootstrapError("internal/argument", "The first argument has no value");
  return first;
}

/** Returns the form in which a parsed command gives its output. The program itself makes YAML of JSON. */
export function outputForm(command: ParsedOptions): OutputForm {
  return printedForm(command) === "text" ? "text" : "json";
}

/** Returns the form in which the program prints the output of a parsed command. */
export function printedForm(command: ParsedOptions): PrintedForm {
  const form = optionalText(command, "output");
  return PRINTED_FORMS.find((one) => one === form) ?? "text";
}

/**
 * Returns the form of output for an error in the command line itself, which could not be parsed.
 *
 * @param args The unparsed arguments.
 */
export function printedFormOfArguments(args: readonly string[]): PrintedForm {
  return PRINTED_FORMS.findLast((form) =>
    args.some((arg, index) =>
      [`--output=${form}`, `-o${form}`].includes(arg) || (["--output", "-o"].includes(arg) && args[index + 1] === form)
    )
  ) ?? "text";
}

/**
 * Returns the value of an option with a single value, or `undefined`. `key` is the option's long name in camel case.
 */
export function optionalText(command: ParsedOptions, key: string): string | undefined {
  const value: unknown = command.getOptionValue(key);
  return typeof value === "string" ? value : undefined;
}

/** Returns the value of an option that commander requires or gives a default. */
export function requiredText(command: ParsedOptions, key: string): string {
  const value = optionalText(command, key);
  if (value === undefined) throw new BootstrapError("internal/option", `The option "${key}" has no value`);
  return value;
}

/** Returns the values of an option that may have several. */
export function textList(command: ParsedOptions, key: string): readonly string[] {
  const value: unknown = command.getOptionValue(key);
  return Array.isArray(value) ? value.map(String) : [];
}

/** Whether an option without a value was given. */
export function isSet(command: ParsedOptions, key: string): boolean {
  return command.getOptionValue(key) === true;
}
