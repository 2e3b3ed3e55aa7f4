/**
 * The type of a command: an object with the command's name, options, permissions and action.
 *
 * @module
 */
import type { Command } from "commander";
import type { CliContext } from "./context.ts";
import type { ParsedOptions } from "./options.ts";
import type { KeptPermission } from "./permissions.ts";

/** The headings of `bootstrapper --help`, in order. */
export const HELP_GROUPS = ["On a node:", "For operators:"] as const;
/** A heading of `bootstrapper --help`. */
export type HelpGroup = typeof HELP_GROUPS[number];

/** The arguments and options that a command was called with. */
export interface ParsedCommand extends ParsedOptions {
  /** The arguments that are not options, in order. */
  readonly args: readonly string[];
  /** All commands of the program, for what describes them. */
  readonly known: readonly AnyCommand[];
}

/**
 * A command. `read` runs first, then `open`. The program then permanently drops every permission that is not in `keeps`
 * or `alsoKeeps`, and runs `action`. So `action` is the first to read untrusted input.
 *
 * `open` and `action` load their modules by `import("…")` with a literal: other commands then start without these
 * modules, and `deno compile` finds them.
 *
 * @typeParam Options The result of `read`.
 * @typeParam Opened The result of `open`.
 */
export interface CliCommand<Options = unknown, Opened = undefined> {
  /** The name as people type it: a word, or a family (see `COMMAND_FAMILIES`) and a word, such as `policy make`. */
  readonly name: string;
  /** The heading under which `bootstrapper --help` lists it. */
  readonly group: HelpGroup;
  /** A description of one line. */
  readonly description: string;
  /** A text that the help shows after the options. */
  readonly notes?: string;
  /** Complete command lines, as people type them into a shell, for the end of the help. */
  readonly examples: readonly [string, ...string[]];
  /**
   * The permissions with which `action` runs. Only the process that opens devices, and does nothing else, has `all`.
   */
  readonly keeps: readonly KeptPermission[] | "all";
  /**
   * Whether the help omits the command, because only this program itself calls it. Such a command has no `--output`.
   */
  readonly isHidden?: boolean;
  /** Whether the command works until it is asked to stop: `aborted/run` is then its ordinary end, with exit code 0. */
  readonly runsUntilStopped?: true;
  /** Whether only root can do what the command does. Others hear so before anything is opened. */
  readonly needsRoot?: true;
  /** Adds arguments and options. Every command gets `--output` in addition. */
  declare?(command: Command): void;
  /**
   * Reads the command line; reads nothing else.
   *
   * @throws {BootstrapError} `usage/…`.
   */
  read(parsed: ParsedCommand, context: CliContext): Options;
  /** The permissions that this call keeps in addition to `keeps`. */
  alsoKeeps?(options: Options): readonly KeptPermission[];
  /** Opens files and devices that Deno opens only with all permissions. */
  open?(options: Options, context: CliContext): Promise<Opened>;
  /**
   * Runs the command. The program prints errors, and derives the exit code from them. A command that has shown all of a
   * verdict returns the exit code instead.
   */
  action(options: Options, context: CliContext, opened: Opened): Promise<number | void>;
}

/** A command with any type of options. */
export type AnyCommand = CliCommand<unknown, unknown>;
