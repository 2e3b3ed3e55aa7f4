/**
 * Addresses that people give where a file or a folder is expected. A path may look like an address, so that a folder
 * `https:` would be made, and the documents in it looked for where nobody put them.
 *
 * @module
 */
import type { Command } from "commander";
import { BootstrapError } from "../platform/errors.ts";

const ADDRESS = /^[a-z][a-z0-9+.-]+:\/\//i;

interface GivenPath {
  /** As people type it: `--policy`, or the argument's name. */
  readonly name: string;
  /** A file or a folder. */
  readonly kind: string;
  readonly values: readonly unknown[];
}

/**
 * Refuses addresses and empty texts among the arguments and options that take files and folders, which their forms say: `<file>`,
 * `<folder...>`, `<path>`.
 *
 * @throws {BootstrapError} `usage/invalid-argument`.
 */
export function checkPathArguments(command: Command): void {
  for (const { name, kind, values } of givenPaths(command)) {
    if (values.includes("")) {
      // A shell makes it of a variable that is not set.
      throw new BootstrapError(
        "usage/invalid-argument",
        `Cannot use ${name} "" as it is empty, and a ${kind} is expected`,
        {
          next: `Name a ${kind} by its path`,
        },
      );
    }
    const address = values.find((value) => typeof value === "string" && ADDRESS.test(value));
    if (address === undefined) continue;
    const [other] = command.options.flatMap(({ long }) => long?.startsWith(`${name}-`) === true ? [long] : []);
    throw new BootstrapError(
      "usage/invalid-argument",
      `Cannot use ${name} ${
        JSON.stringify(withoutUser(String(address)))
      } as it is an address, and a ${kind} is expected`,
      { next: `Name a ${kind} of this machine by its path${other === undefined ? "" : `; ${other} takes an address`}` },
    );
  }
}

function givenPaths(command: Command): readonly GivenPath[] {
  const listOf = (value: unknown): readonly unknown[] => Array.isArray(value) ? value : [value];
  return [
    ...command.registeredArguments.map((argument, index) => ({
      name: argument.name(),
      kind: kindOfPath(argument.name()),
      values: listOf(command.processedArgs[index]),
    })),
    ...command.options.map((option) => ({
      name: option.long ?? option.flags,
      kind: kindOfPath(/<([^>]+)>/.exec(option.flags)?.[1] ?? ""),
      values: listOf(command.getOptionValue(option.attributeName())),
    })),
  ].flatMap(({ kind, ...given }) => kind === undefined ? [] : [{ ...given, kind }]);
}

/** What a value of this name is: a file or a folder, or neither. */
export function kindOfPath(name: string): "file" | "folder" | undefined {
  const kind = /(?:^|-)(file|folder|path)s?(?:\.\.\.)?$/.exec(name)?.[1];
  return kind === undefined ? undefined : kind === "folder" ? "folder" : "file";
}

/** A password in an address is no text for a terminal or a log. */
function withoutUser(address: string): string {
  return address.replace(/:\/\/[^/]*@/, "://");
}
