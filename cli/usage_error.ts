/**
 * What is wrong with a command line: everything at once, with what was probably meant.
 *
 * @module
 */
import type { Command, CommanderError } from "commander";
import type { ErrorCode } from "../platform/errors.ts";
import { BootstrapError } from "../platform/errors.ts";
import { nearestOf } from "../platform/nearest.ts";

/** The error codes that stand for commander's codes. */
const USAGE_CODES: Readonly<Record<string, ErrorCode>> = Object.freeze({
  "commander.conflictingOption": "usage/conflicting-option",
  "commander.excessArguments": "usage/excess-arguments",
  "commander.invalidArgument": "usage/invalid-argument",
  "commander.missingArgument": "usage/missing-argument",
  "commander.missingMandatoryOptionValue": "usage/missing-mandatory-option-value",
  "commander.optionMissingArgument": "usage/option-missing-argument",
  "commander.unknownCommand": "usage/unknown-command",
  "commander.unknownOption": "usage/unknown-option",
});
const CODES_OF_MISSING = ["usage/missing-argument", "usage/missing-mandatory-option-value"];

/**
 * Converts commander's error.
 *
 * @param command The command that could not be read: a family, if its member is missing or unknown.
 * @param names The names of all commands that people call.
 */
export function usageError(error: CommanderError, command: Command, names: readonly string[]): BootstrapError {
  const name = nameOf(command);
  const next = `Run \`bootstrapper ${name === "" ? "" : `${name} `}--help\``;
  if (error.code === "commander.help") {
    const message = `No command ${name === "" ? "" : `of \`${name}\` `}was given`;
    return new BootstrapError("usage/no-subcommand", message, { next });
  }
  const code = USAGE_CODES[error.code] ?? "usage/command-line";
  if (code === "usage/unknown-command") {
    const words = [...name === "" ? [] : name.split(" "), command.args[0] ?? ""];
    return new BootstrapError(code, unknownCommand(words, names), { next });
  }
  const problems = CODES_OF_MISSING.includes(code)
    ? [...missing(command), ...unknownOptions(command)]
    : [error.message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ").replace(/\.$/, "")];
  return new BootstrapError(code, `Cannot read the command line: ${problems.join("; ")}`, { next });
}

/** Says that there is no such command, and which one was probably meant. */
export function unknownCommand(words: readonly string[], names: readonly string[]): string {
  const given = words.join(" ");
  const families = names.flatMap((name) => name.split(" ").slice(0, -1).map((_, index, all) => all.slice(0, index + 1)))
    .map((family) => family.join(" "));
  const candidates = [...new Set([...names, ...families])];
  const meant = nearestOf(given, candidates) ?? candidates.find((name) => name.endsWith(` ${words.at(-1)}`));
  return `There is no command ${JSON.stringify(given)}${meant === undefined ? "" : ` (did you mean \`${meant}\`?)`}`;
}

/** The name of a command as people type it; empty for the program itself. */
function nameOf(command: Command): string {
  return command.parent === null ? "" : `${nameOf(command.parent)} ${command.name()}`.trim();
}

/** All required arguments and options that a call lacks. */
function missing(command: Command): readonly string[] {
  const given = command.args.filter((arg) => !arg.startsWith("-")).length;
  const values = command.opts<Record<string, unknown>>();
  return [
    ...command.registeredArguments.filter(({ required }, index) => required && index >= given)
      .map((argument) => `the argument <${argument.name()}> is missing`),
    ...command.options.filter((option) => option.mandatory && values[option.attributeName()] === undefined)
      .map(({ flags }) => `the option \`${flags}\` is missing`),
  ];
}

/** All options that a command does not have. */
function unknownOptions(command: Command): readonly string[] {
  const known = command.options.flatMap(({ long }) => long ?? []);
  return command.args.filter((arg) => /^--?[a-z]/i.test(arg)).map((arg) => {
    const [flag = ""] = arg.split("=");
    const meant = nearestOf(flag, known);
    return `there is no option \`${flag}\`${meant === undefined ? "" : ` (did you mean \`${meant}\`?)`}`;
  });
}
