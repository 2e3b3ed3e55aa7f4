import { createHash } from "node:crypto";
import { parseArgs } from "node:util";

/** One of `of` parts of a list; `number` counts from 1. */
export interface Slice {
  readonly number: number;
  readonly of: number;
}

/** All of a list. */
export const WHOLE: Slice = Object.freeze({ number: 1, of: 1 });

/**
 * Reads a slice, as `2/4`.
 *
 * @throws Error naming the text when it is no slice.
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
 * Whether a slice has the item with a key. All slices of one `of` together have each item once; which one has it depends on nothing
 * but the key, so that a list which is another in each process is cut without a gap.
 */
export function inSlice(key: string, { number, of }: Slice): boolean {
  return numberOf(key) % of === number - 1;
}

/** Every `of`-th item of a list, beginning with the one at `number`. All slices of one `of` together have each item once. */
export function takeSlice<T>(items: readonly T[], { number, of }: Slice): T[] {
  return items.filter((_, index) => index % of === number - 1);
}

/** The slice that a test file was given behind `--`, as `deno test FILE -- --slice 2/4`; without one, {@linkcode WHOLE}. */
export function sliceOfThisRun(args: readonly string[] = Deno.args): Slice {
  const { values } = parseArgs({ args: [...args], options: { slice: { type: "string" } } });
  return values.slice === undefined ? WHOLE : readSlice(values.slice);
}
