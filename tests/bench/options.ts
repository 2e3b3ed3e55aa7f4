import { readArguments, wholeNumber, WrongArguments } from "../tools/arguments.ts";

/** What the bench is to do. */
export interface BenchOptions {
  /** The names of the parts to run. */
  readonly parts: readonly string[];
  /** The number of pairs of each part; `undefined`: each part's own. */
  readonly rounds?: number;
  /** The number of busy processes besides the measurement. */
  readonly load: number;
  readonly isHelp: boolean;
}

/**
 * Reads the arguments.
 *
 * @param known The names of all parts.
 * @throws {WrongArguments} Naming the argument.
 */
export function benchOptionsOf(args: readonly string[], known: readonly string[]): BenchOptions {
  const { values, positionals } = readArguments(args, {
    options: { rounds: { type: "string" }, load: { type: "string" }, help: { type: "boolean", short: "h" } },
    allowPositionals: true,
  });
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new WrongArguments(`There is no part "${unknown}"; there are ${known.join(", ")}`);
  }
  const rounds = values.rounds === undefined ? undefined : wholeNumber("rounds", values.rounds, 0);
  if (rounds === 0) throw new WrongArguments(`Cannot read --rounds: it must be at least 1; current value is "0"`);
  return {
    parts: positionals.length === 0 ? known : known.filter((name) => positionals.includes(name)),
    ...(rounds === undefined ? {} : { rounds }),
    load: wholeNumber("load", values.load, 0),
    isHelp: values.help ?? false,
  };
}
