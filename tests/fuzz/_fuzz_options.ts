import { readArguments, wholeNumber, WrongArguments } from "../tools/arguments.ts";
import { TARGETS } from "./targets.ts";

/** What to fuzz, and for how long. */
export interface FuzzOptions {
  readonly targets: readonly string[];
  /** The time for each target, in seconds. */
  readonly seconds: number;
  readonly seed: number;
  /** How many targets run at the same time. */
  readonly jobs: number;
  /** Folders with additional inputs. */
  readonly inputs: readonly string[];
  /** A file with a single input to feed. */
  readonly replay?: string;
}

const DEFAULT_SECONDS = 120;

/**
 * Reads the arguments of `deno task fuzz`.
 *
 * @throws {WrongArguments} Naming the option.
 */
export function fuzzOptions(args: readonly string[]): FuzzOptions {
  const { values } = readArguments(args, {
    options: {
      seconds: { type: "string" },
      target: { type: "string", multiple: true },
      seed: { type: "string" },
      jobs: { type: "string" },
      inputs: { type: "string", multiple: true },
      replay: { type: "string" },
    },
  });
  const seed = wholeNumber("seed", values.seed, crypto.getRandomValues(new Uint32Array(1))[0] ?? 0);
  const jobs = Math.max(1, wholeNumber("jobs", values.jobs, 1));
  const all = TARGETS.map(({ name }) => name);
  const targets = values.target ?? all;
  const unknown = targets.find((name) => !all.includes(name));
  if (unknown !== undefined) {
    throw new WrongArguments(`Cannot read --target: there is no "${unknown}"; there are ${all.join(", ")}`);
  }
  const seconds = wholeNumber("seconds", values.seconds, DEFAULT_SECONDS) * jobs / targets.length;
  const { inputs = [], replay } = values;
  return { targets, seconds, seed, jobs, inputs, ...(replay === undefined ? {} : { replay }) };
}
