/**
 * What a command is: an object that says what the command is called, what it takes, which permissions it keeps, and what
 * it does.
 *
 * @module
 */
import type { Command } from "commander";
import type { CliContext } from "./context.ts";
import type { ParsedOptions } from "./options.ts";
import type { KeptPermission } from "./permissions.ts";

/** The headings of `bootstrapper --help`, in their order. */
export const HELP_GROUPS = ["On a node:", "For operators:"] as const;
/** A heading of `bootstrapper --help`. */
export type HelpGroup = typeof HELP_GROUPS[number];

/** The arguments and options of a command as they were given. */
export interface ParsedCommand extends ParsedOptions {
  /** The arguments that are no options, in their order. */
  readonly args: readonly string[];
}

/**
 * A command. It runs in this order: `read`, `open`, then every permission that is not in `keeps` or `alsoKeeps` is given up
 * for good, then `action`. So `action` is the first to read what others wrote.
 *
 * `open` and `action` load what they need by `import("…")` with a literal, so that other commands start without it and
 * `deno compile` finds it.
 *
 * @typeParam Options What `read` makes of the command line.
 * @typeParam Opened What `open` opens.
 */
export interface CliCommand<Options = unknown, Opened = undefined> {
  /** The name as it is typed: a word, or a family's (see `COMMAND_FAMILIES`) and a word, as `policy make`. */
  readonly name: string;
  /** The heading under which `bootstrapper --help` lists it. */
  readonly group: HelpGroup;
  /** What it does, in a line. */
  readonly description: string;
  /** What the help says after the options. */
  readonly notes?: string;
  /** Whole command lines, as people type them into a shell; the help ends with them. */
  readonly examples: readonly [string, ...string[]];
  /** The permissions that `action` runs with. `all` is for the process that does nothing but open devices. */
  readonly keeps: readonly KeptPermission[] | "all";
  /** Whether no help lists it, as only this program itself calls it. It has no `--output`. */
  readonly isHidden?: boolean;
  /** Adds arguments and options; `--output` is added to every command. */
  declare?(command: Command): void;
  /**
   * Reads the command line, and nothing else.
   *
   * @throws {BootstrapError} `usage/…`.
   */
  read(parsed: ParsedCommand, context: CliContext): Options;
  /** The permissions that this call keeps in addition to `keeps`. */
  alsoKeeps?(options: Options): readonly KeptPermission[];
  /** Opens what Deno opens only with all permissions. */
  open?(options: Options, context: CliContext): Promise<Opened>;
  /** Does the work. Errors are printed, and become the exit code. */
  action(options: Options, context: CliContext, opened: Opened): Promise<void>;
}

/** A command of any options. */
export type AnyCommand = CliCommand<unknown, unknown>;
