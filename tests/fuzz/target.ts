/**
 * What is fuzzed: a function of the program that reads bytes which somebody else wrote.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import type { ErrorFamily } from "../../platform/errors.ts";

/** How inputs are built, so that mutations can keep most of that. */
export type InputForm = "bytes" | "der" | "protobuf" | "text" | "json";

/** Feeds one input. What is wrong with it is thrown; what it gives back is of no interest. */
export type FuzzRun = (input: Bytes) => unknown;

/** Reads a file of the corpus: `TARGET/NAME` or `fixtures/NAME`. */
export type ReadCorpus = (path: string) => Promise<Bytes>;

/** A target. */
export interface FuzzTarget {
  /** Its name: that of its folders in `corpus/` and `crashers/`. */
  readonly name: string;
  /** How its inputs are built. */
  readonly form: InputForm;
  /** The longest input, bytes: a little more than what the program reads. */
  readonly maximumBytes: number;
  /** Families of errors that it may end in besides those of a peer's bytes. */
  readonly mayEndIn?: readonly ErrorFamily[];
  /** Makes what the inputs are fed to. */
  readonly open: (read: ReadCorpus) => FuzzRun | Promise<FuzzRun>;
}

/** Ends an input's run as a failure: what was promised does not hold. */
export class BrokenPromise extends Error {
  /** As stack traces show it. */
  override readonly name = "BrokenPromise";
}

/** Throws a {@linkcode BrokenPromise} unless it holds. */
export function promise(holds: boolean, what: string): void {
  if (!holds) throw new BrokenPromise(what);
}
