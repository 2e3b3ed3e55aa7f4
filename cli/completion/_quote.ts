/**
 * Quoting for shells.
 *
 * @module
 */

/** Quotes a text for bash and zsh, which then take each character as it is. */
export function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Returns a name for a function of a command. */
export function functionName(command: string): string {
  return ["_bootstrapper", ...command.split(/[ -]/)].filter((part) => part !== "").join("_");
}
