/**
 * Commands as they are declared, for what is made of them: help, completions and manual pages.
 *
 * @module
 */
import { Command } from "commander";
import type { AnyCommand, HelpGroup } from "./command.ts";
import { COMMAND_FAMILIES } from "./command_families.ts";
import { withOutput } from "./options.ts";
import { kindOfPath } from "./path_arguments.ts";

/** What a value may be. */
export interface ValueDescription {
  /** As the help shows it, without brackets: `file`, `number=value`. */
  readonly name: string;
  readonly isRequired: boolean;
  /** Whether several values may follow. */
  readonly isVariadic: boolean;
  /** The only values that are allowed. */
  readonly choices: readonly string[];
  /** Set if the value is the path of a file or a folder. */
  readonly path?: "file" | "folder";
}

/** An argument. */
export interface ArgumentDescription extends ValueDescription {
  readonly description: string;
}

/** An option. */
export interface OptionDescription {
  /** With its hyphens: `--output`. */
  readonly long: string;
  /** With its hyphen: `-o`. */
  readonly short?: string;
  readonly description: string;
  readonly isRequired: boolean;
  /** Absent for an option without a value. */
  readonly value?: ValueDescription;
}

/** A command. */
export interface CommandDescription {
  readonly name: string;
  readonly group: HelpGroup;
  readonly description: string;
  readonly notes?: string;
  readonly examples: readonly string[];
  readonly arguments: readonly ArgumentDescription[];
  readonly options: readonly OptionDescription[];
}

/** A family of commands. */
export interface FamilyDescription {
  /** Its words; empty for the program itself. */
  readonly name: string;
  readonly description: string;
  /** The commands and families that its words lead to, by their last words. */
  readonly members: readonly { readonly word: string; readonly description: string }[];
}

/** The help that each command takes. */
const HELP: OptionDescription = { long: "--help", short: "-h", description: "show the help", isRequired: false };
const NO_COLOUR: OptionDescription = { long: "--no-color", description: "print no colours", isRequired: false };

/** Gives a command its description, its arguments and its options. */
export function declareCommand(command: Command, definition: AnyCommand): void {
  command.description(definition.description);
  definition.declare?.(command);
  if (definition.isHidden !== true) withOutput(command);
}

/** Describes all commands that people call. */
export function describeCommands(commands: readonly AnyCommand[]): readonly CommandDescription[] {
  return commands.filter(({ isHidden }) => isHidden !== true).map((definition) => {
    const { name, group, description, notes, examples } = definition;
    const command = new Command(name);
    declareCommand(command, definition);
    return {
      ...{ name, group, description, examples },
      ...(notes === undefined ? {} : { notes }),
      arguments: command.registeredArguments.map((argument) => ({
        ...valueOf(argument.name(), argument),
        description: argument.description,
      })),
      options: [...command.options.filter(({ hidden }) => !hidden).map(optionOf), HELP, NO_COLOUR],
    };
  });
}

/** Describes the program itself, and all families. */
export function describeFamilies(commands: readonly CommandDescription[]): readonly FamilyDescription[] {
  const families = Object.entries(COMMAND_FAMILIES).map(([name, description]) => ({ name, description }));
  return [{ name: "", description: "" }, ...families].map((family) => ({
    ...family,
    members: [...commands, ...families].flatMap(({ name, description }) => {
      const words = name.split(" ");
      const word = words.at(-1) ?? "";
      return words.slice(0, -1).join(" ") === family.name ? [{ word, description }] : [];
    }),
  })).filter(({ members }) => members.length > 0);
}

function optionOf(option: Command["options"][number]): OptionDescription {
  const { long, short, flags, description, mandatory } = option;
  const value = /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1];
  return {
    long: long ?? flags,
    ...(short === undefined ? {} : { short }),
    description,
    isRequired: mandatory && option.defaultValue === undefined,
    ...(value === undefined ? {} : { value: valueOf(value.replace(/\.\.\.$/, ""), option) }),
  };
}

function valueOf(
  name: string,
  { required, variadic, argChoices }: {
    readonly required: boolean;
    readonly variadic: boolean;
    readonly argChoices?: readonly string[];
  },
): ValueDescription {
  const path = kindOfPath(name);
  return {
    ...{ name, isRequired: required, isVariadic: variadic, choices: argChoices ?? [] },
    ...(path === undefined ? {} : { path }),
  };
}
