/**
 * The command line. Builds all commands from their objects, runs one, and prints its error.
 *
 * @module
 */
import { Command, CommanderError, Option } from "commander";
import { asBootstrapError, BootstrapError, exitCodeOf, hasCode } from "../platform/errors.ts";
import type { ErrorCode } from "../platform/errors.ts";
import type { AnyCommand, ParsedCommand } from "./command.ts";
import { HELP_GROUPS } from "./command.ts";
import { COMMAND_FAMILIES, COMMANDS } from "./commands.ts";
import type { CliContext } from "./context.ts";
import { outputFormOfArguments, withOutput } from "./options.ts";
import { printError } from "./output.ts";
import { checkPathArguments } from "./path_arguments.ts";
import { dropPermissions } from "./permissions.ts";

const HELP_WIDTH = 100;
const EXIT_CODES = "Exit codes: 0 success, 1 failure, 2 usage error, 3 refused, 4 retry later.";

/**
 * Runs the command that the arguments name.
 *
 * @param commands The known commands.
 * @returns The exit code. Errors are printed, not thrown.
 */
export async function runProgram(
  args: readonly string[],
  context: CliContext,
  commands: readonly AnyCommand[] = COMMANDS,
): Promise<number> {
  try {
    await createProgram(context, commands).parseAsync(commandArguments(args, commands), { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    // The program that reads the output, such as head, has ended. Nothing more can be said to it.
    if (error instanceof Deno.errors.BrokenPipe) return EXIT_OF_BROKEN_PIPE;
    const failure = error instanceof CommanderError
      ? usageError(error, ownArguments(args), commands)
      : asBootstrapError(error);
    printError(context, outputFormOfArguments(args), failure);
    return exitCodeOf(failure);
  }
}

/** The arguments without the option that `deno compile` put before them. */
function ownArguments(args: readonly string[]): readonly string[] {
  return args[0] === "--built-from" ? args.slice(2) : args;
}

/** Returns the arguments in the form that the commands have: `--version` and `help COMMAND` are commands too. */
function commandArguments(args: readonly string[], commands: readonly AnyCommand[]): readonly string[] {
  const own = ownArguments(args);
  const before = args.slice(0, args.length - own.length);
  const [first = "", ...rest] = own;
  if (first === "--version" || first === "-V") return [...before, "version", ...rest];
  if (first !== "help") return args;
  const words = rest.filter((word) => !word.startsWith("-"));
  const isKnown = commands.some(({ name }) => `${name} `.startsWith([...words, ""].join(" ")));
  if (isKnown || words.length === 0) return [...words, "--help"];
  throw new BootstrapError("usage/unknown-command", `There is no command ${JSON.stringify(words.join(" "))}`, {
    next: "Run `bootstrapper --help`",
  });
}

/** What a shell gives for a program that SIGPIPE ended. */
const EXIT_OF_BROKEN_PIPE = 141;

function createProgram(context: CliContext, commands: readonly AnyCommand[]): Command {
  const program = new Command("bootstrapper")
    .addHelpText("before", "bootstrapper turns fresh VMs into attested members of a Kubernetes cluster.")
    .addOption(new Option("--built-from <commit>", "compiled in").hideHelp())
    .addHelpOption(new Option("-h, --help", "display help for command").hideHelp())
    .exitOverride()
    .configureOutput({
      writeOut: context.print,
      writeErr: () => {},
      getOutHelpWidth: () => Math.min(HELP_WIDTH, context.terminal.columns),
      getOutHasColors: () => false,
    })
    .configureHelp({ optionDescription: ({ description }) => description, subcommandTerm, subcommandDescription })
    // A description of its own would cost the screen two lines.
    .usage("<command> [options]\nTurns fresh VMs into attested members of a Kubernetes cluster.")
    .addHelpText("after", EXIT_CODES)
    .helpCommand(false);
  for (const group of HELP_GROUPS) {
    program.commandsGroup(group);
    for (const command of commands.filter((one) => one.group === group)) {
      const words = command.name.split(" ");
      const parent = words.slice(0, -1).reduce(
        (family, _, index) => familyOf(family, words.slice(0, index + 1), commands),
        program,
      );
      addCommand(parent.command(words.at(-1) ?? "", { hidden: command.isHidden === true }), command, context);
    }
  }
  return program;
}

/** Formats a command for lists of commands: with its arguments, without `[options]`. */
function subcommandTerm(command: Command): string {
  const terms = command.registeredArguments.map((argument) => {
    const name = argument.variadic ? `${argument.name()}...` : argument.name();
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return [command.name(), ...terms].join(" ");
}

/** Returns a command's description for lists of commands; that of a family includes its members. */
function subcommandDescription(command: Command): string {
  if (command.commands.length === 0) return command.description();
  return `${command.description()} (${command.commands.map((member) => member.name()).join(", ")})`;
}

function addCommand(command: Command, definition: AnyCommand, context: CliContext): void {
  command.description(definition.description);
  definition.declare?.(command);
  if (definition.isHidden !== true) withOutput(command);
  if (definition.notes !== undefined) command.addHelpText("after", `\n${definition.notes}`);
  command.addHelpText("after", examplesText(definition.examples)).action(async () => {
    checkPathArguments(command);
    await call(definition, parsedCommand(command), context);
  });
}

/** Returns the parent of the commands whose names begin with the same words. */
function familyOf(parent: Command, words: readonly string[], commands: readonly AnyCommand[]): Command {
  const [name, own] = [words.join(" "), words.at(-1) ?? ""];
  const known = parent.commands.find((command) => command.name() === own);
  if (known !== undefined) return known;
  const members = commands.filter((command) => command.name.startsWith(`${name} `));
  return parent.command(own).helpCommand(false).description(COMMAND_FAMILIES[name] ?? "")
    .addHelpText("after", examplesText(members.map(({ examples }) => examples[0])));
}

function examplesText(examples: readonly string[]): string {
  const title = examples.length === 1 ? "Example:" : "Examples:";
  return ["", title, ...examples.map((example) => `  ${example.replaceAll("\n", "\n  ")}`)].join("\n");
}

/** Returns the arguments and options that commander parsed, including the program's own options. */
function parsedCommand(command: Command): ParsedCommand {
  const options: Readonly<Record<string, unknown>> = command.optsWithGlobals();
  return { args: command.args, getOptionValue: (key) => options[key] };
}

async function call(definition: AnyCommand, parsed: ParsedCommand, context: CliContext): Promise<void> {
  const options = definition.read(parsed, context);
  if (definition.needsRoot === true && !context.isRoot) {
    throw new BootstrapError("precondition/root", `\`bootstrapper ${definition.name}\` needs root on this machine`);
  }
  let opened: unknown;
  try {
    opened = await definition.open?.(options, context);
    if (definition.keeps !== "all") {
      await dropPermissions([...definition.keeps, ...definition.alsoKeeps?.(options) ?? []], context.permissions);
    }
    await definition.action(options, context, opened);
  } catch (error) {
    if (definition.runsUntilStopped !== true || !hasCode(error, "aborted/run")) throw error;
  } finally {
    if (isDisposable(opened)) opened[Symbol.dispose]();
  }
}

function isDisposable(opened: unknown): opened is Disposable {
  return typeof opened === "object" && opened !== null && Symbol.dispose in opened;
}

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

function usageError(
  error: CommanderError,
  args: readonly string[],
  commands: readonly AnyCommand[],
): BootstrapError {
  const names = [...commands.map(({ name }) => name), ...Object.keys(COMMAND_FAMILIES)];
  const name = [3, 2, 1].map((count) => args.slice(0, count).join(" ")).find((words) => names.includes(words));
  const next = `Run \`bootstrapper ${name === undefined ? "" : `${name} `}--help\``;
  if (error.code === "commander.help") {
    const message = `No command ${name === undefined ? "" : `of \`${name}\` `}was given`;
    return new BootstrapError("usage/no-subcommand", message, { next });
  }
  const message = error.message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ").replace(/\.$/, "");
  const code = USAGE_CODES[error.code] ?? "usage/command-line";
  return new BootstrapError(code, `Cannot read the command line: ${message}`, { next });
}
