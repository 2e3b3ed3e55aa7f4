/**
 * The command line. Builds all commands from their objects, runs one, and prints its error.
 *
 * @module
 */
import { Command, CommanderError, Option } from "commander";
import { asBootstrapError, BootstrapError, exitCodeOf, hasCode } from "../platform/errors.ts";
import type { AnyCommand, ParsedCommand } from "./command.ts";
import { HELP_GROUPS } from "./command.ts";
import { declareCommand } from "./command_description.ts";
import { COMMAND_FAMILIES, COMMANDS } from "./commands.ts";
import type { CliContext } from "./context.ts";
import { printedFormOfArguments } from "./options.ts";
import { printError } from "./output.ts";
import { checkPathArguments } from "./path_arguments.ts";
import { dropPermissions } from "./permissions.ts";
import { printedContext, printerOf, withColours } from "./printed.ts";
import { unknownCommand, usageError } from "./usage_error.ts";

const HELP_WIDTH = 100;
const EXIT_CODES = "Exit codes: 0 success, 1 failure, 2 usage error, 3 refused, 4 retry later.";
const COMMON_OPTIONS = "All commands: --help, -o text|json|yaml, --no-color (or NO_COLOR).";

/** What a run of the program comes to. */
interface Outcome {
  /** The exit code of a command that ended without an error. */
  exitCode: number;
  /** The command whose line could not be read. */
  unread: Command;
}

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
  const outcome: Outcome = { exitCode: 0, unread: new Command("bootstrapper") };
  try {
    const program = createProgram(context, commands, outcome);
    await program.parseAsync(commandArguments(args, commands), { from: "user" });
    return outcome.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    // The program that reads the output, such as head, has ended. Nothing more can be said to it.
    if (error instanceof Deno.errors.BrokenPipe) return EXIT_OF_BROKEN_PIPE;
    const failure = error instanceof CommanderError
      ? usageError(error, outcome.unread, visibleNames(commands))
      : asBootstrapError(error);
    const form = printedFormOfArguments(args);
    const terminal = withColours(context.terminal, !args.includes("--no-color"));
    printError({ ...context, ...await printerOf(form, context), terminal }, form === "text" ? "text" : "json", failure);
    return exitCodeOf(failure);
  }
}

function visibleNames(commands: readonly AnyCommand[]): readonly string[] {
  return commands.filter(({ isHidden }) => isHidden !== true).map(({ name }) => name);
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
  throw new BootstrapError("usage/unknown-command", unknownCommand(words, visibleNames(commands)), {
    next: "Run `bootstrapper --help`",
  });
}

/** What a shell gives for a program that SIGPIPE ended. */
const EXIT_OF_BROKEN_PIPE = 141;

function createProgram(context: CliContext, commands: readonly AnyCommand[], outcome: Outcome): Command {
  const program = new Command("bootstrapper")
    .addOption(new Option("--no-color", "print no colours").hideHelp())
    .addOption(new Option("--built-from <commit>", "compiled in").hideHelp())
    .addHelpOption(new Option("-h, --help", "display help for command").hideHelp())
    .configureOutput({
      writeOut: context.print,
      writeErr: () => {},
      getOutHelpWidth: () => Math.min(HELP_WIDTH, context.terminal.columns),
      getOutHasColors: () => false,
    })
    .configureHelp({ optionDescription: ({ description }) => description, subcommandTerm, subcommandDescription })
    // A description of its own would cost the screen two lines.
    .usage("<command> [options]\nTurns fresh VMs into attested members of a Kubernetes cluster.")
    .addHelpText("after", `${EXIT_CODES}\n${COMMON_OPTIONS}`)
    .helpCommand(false);
  noteUnread(program, outcome);
  for (const group of HELP_GROUPS) {
    program.commandsGroup(group);
    for (const command of commands.filter((one) => one.group === group)) {
      const words = command.name.split(" ");
      const parent = words.slice(0, -1).reduce(
        (family, _, index) => familyOf(family, words.slice(0, index + 1), commands, outcome),
        program,
      );
      const own = parent.command(words.at(-1) ?? "", { hidden: command.isHidden === true });
      addCommand(noteUnread(own, outcome), command, context, { commands, outcome });
    }
  }
  return program;
}

/** Notes which command it was that could not be read. */
function noteUnread(command: Command, outcome: Outcome): Command {
  return command.exitOverride((error) => {
    outcome.unread = command;
    throw error;
  });
}

/** The widest term of a list of commands that does not make the descriptions too narrow. */
const WIDEST_TERM = 15;

/** Formats a command for lists of commands: with its arguments if there is room, without `[options]`. */
function subcommandTerm(command: Command): string {
  const terms = command.registeredArguments.map((argument) => {
    const name = argument.variadic ? `${argument.name()}...` : argument.name();
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  const term = [command.name(), ...terms].join(" ");
  return term.length <= WIDEST_TERM ? term : command.name();
}

/** Returns a command's description for lists of commands; that of a family includes its members. */
function subcommandDescription(command: Command): string {
  if (command.commands.length === 0) return command.description();
  return `${command.description()} (${command.commands.map((member) => member.name()).join(", ")})`;
}

function addCommand(
  command: Command,
  definition: AnyCommand,
  context: CliContext,
  { commands, outcome }: { readonly commands: readonly AnyCommand[]; readonly outcome: Outcome },
): void {
  declareCommand(command, definition);
  if (definition.notes !== undefined) command.addHelpText("after", `\n${definition.notes}`);
  command.addHelpText("after", examplesText(definition.examples)).action(async () => {
    checkPathArguments(command);
    const parsed = parsedCommand(command, commands);
    outcome.exitCode = await call(definition, parsed, await printedContext(parsed, context)) ?? 0;
  });
}

/** Returns the parent of the commands whose names begin with the same words. */
function familyOf(
  parent: Command,
  words: readonly string[],
  commands: readonly AnyCommand[],
  outcome: Outcome,
): Command {
  const [name, own] = [words.join(" "), words.at(-1) ?? ""];
  const known = parent.commands.find((command) => command.name() === own);
  if (known !== undefined) return known;
  const members = commands.filter((command) => command.name.startsWith(`${name} `));
  return noteUnread(parent.command(own), outcome).helpCommand(false).description(COMMAND_FAMILIES[name] ?? "")
    .addHelpText("after", examplesText(members.map(({ examples }) => examples[0])));
}

function examplesText(examples: readonly string[]): string {
  const title = examples.length === 1 ? "Example:" : "Examples:";
  return ["", title, ...examples.map((example) => `  ${example.replaceAll("\n", "\n  ")}`)].join("\n");
}

/** Returns the arguments and options that commander parsed, including the program's own options. */
function parsedCommand(command: Command, known: readonly AnyCommand[]): ParsedCommand {
  const options: Readonly<Record<string, unknown>> = command.optsWithGlobals();
  return { args: command.args, getOptionValue: (key) => options[key], known };
}

async function call(definition: AnyCommand, parsed: ParsedCommand, context: CliContext): Promise<number | void> {
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
    return await definition.action(options, context, opened);
  } catch (error) {
    if (definition.runsUntilStopped !== true || !hasCode(error, "aborted/run")) throw error;
  } finally {
    if (isDisposable(opened)) opened[Symbol.dispose]();
  }
}

function isDisposable(opened: unknown): opened is Disposable {
  return typeof opened === "object" && opened !== null && Symbol.dispose in opened;
}
