import { createHash } from "node:crypto";
import { parseArgs } from "node:util";

/** One of `of` slices of a list; `number` counts from 1. */
export interface Slice {
  readonly number: number;
  readonly of: number;
}

/** The slice that contains the whole list. */
export const WHOLE: Slice = Object.freeze({ number: 1, of: 1 });

/**
 * Reads a slice such as `2/4`.
 *
 * @throws Error naming the text when it is not a slice.
 */
export function readSlice(text: string): Slice {
  const [, number = "", of = ""] = /^([1-9]\d?)\/([1-9]\d?)$/.exec(text) ?? [];
  const slice = { number: Number(number), of: Number(of) };
  if (number !== "" && slice.number <= slice.of) return slice;
  throw new Error(`Cannot read the slice "${text}": it must be "K/N" with K from 1 to N, as "2/4"`);
}

/** The first 32 bits of a hash of a text. */
export function numberOf(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE(0);
}

/**
 * Whether a slice contains the item with a key. The slices of one `of` together contain each item once. The choice
 * depends on the key only, so a list that differs between processes is cut without gaps.
 */
export function inSlice(key: string, { number, of }: Slice): boolean {
  return numberOf(key) % of === number - 1;
}

/**
 * Every `of`-th item of a list, beginning with the one at `number`. The slices of one `of` together contain each item
 * once.
 */
export function takeSlice<T>(items: readonly T[], { number, of }: Slice): T[] {
  return items.filter((_, index) => index % of === number - 1);
}

/**
 * The slice that a test file received after `--`, as in `deno test FILE -- --slice 2/4`.
 *
 * @param without What there is without one; default: {@linkcode WHOLE}.
 */
export function sliceOfThisRun(args: readonly string[] = Deno.args, without: Slice = WHOLE): Slice {
  const { values } = parseArgs({ args: [...args], options: { slice: { type: "string" } } });
  return values.slice === undefined ? without : readSlice(values.slice);
}

const FLIPS_EVERY = 16;

/**
 * Which bytes a test flips: the slice that its file received after `--`; without one, every sixteenth byte, each time
 * others.
 */
export function sliceOfFlips(args: readonly string[] = Deno.args): Slice {
  return sliceOfThisRun(args, { number: 1 + Math.floor(Math.random() * FLIPS_EVERY), of: FLIPS_EVERY });
}
