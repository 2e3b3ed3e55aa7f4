/**
 * Reads the arguments of the programs that run tests. Wrong arguments are reported in one line, with exit code 2.
 *
 * @module
 */
import { parseArgs, type ParseArgsConfig } from "node:util";

/** Wrong arguments. The message says, for people, which ones. */
export class WrongArguments extends Error {}

/**
 * Reads arguments as `parseArgs()` does. Arguments that the configuration does not name are refused.
 *
 * @throws {WrongArguments} Naming the option.
 */
export function readArguments<T extends Omit<ParseArgsConfig, "args" | "strict">>(
  args: readonly string[],
  config: T,
): ReturnType<typeof parseArgs<T & { args: string[] }>> {
  try {
    return parseArgs({ ...config, args: [...args] });
  } catch (cause) {
    if (!(cause instanceof TypeError && "code" in cause)) throw cause;
    throw new WrongArguments(cause.message, { cause });
  }
}

/**
 * Reads the value of an option that is a whole number.
 *
 * @param text The option's value; if it is undefined, the result is `fallback`.
 * @throws {WrongArguments} Naming the option.
 */
export function wholeNumber(option: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new WrongArguments(`Cannot read --${option}: it must be a whole number, as "30"; current value is "${text}"`);
}

/**
 * Returns the result of `read`. If arguments are wrong, reports that on standard error and ends the program with exit
 * code 2.
 */
export function orRefuse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof WrongArguments)) throw error;
    Deno.stderr.writeSync(new TextEncoder().encode(`${error.message}\n`));
    Deno.exit(2);
  }
}
