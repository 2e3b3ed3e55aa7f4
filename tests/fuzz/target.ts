/**
 * A fuzz target is a function of the program that reads bytes from an untrusted source.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import type { ErrorFamily } from "../../platform/errors.ts";

/** The form of an input, which lets mutations keep most of its structure. */
export type InputForm = "bytes" | "der" | "protobuf" | "text" | "json";

/** Feeds one input. It throws if the input is bad; its result is ignored. */
export type FuzzRun = (input: Bytes) => unknown;

/** Reads a file of the corpus: `TARGET/NAME` or `fixtures/NAME`. */
export type ReadCorpus = (path: string) => Promise<Bytes>;

export interface FuzzTarget {
  /** The target's name, which is also that of its folders in `corpus/` and `crashers/`. */
  readonly name: string;
  /** The form of the inputs. */
  readonly form: InputForm;
  /** The length of the longest input in bytes: a little more than the program reads. */
  readonly maximumBytes: number;
  /** Families of errors that the target may end in, besides those for a peer's bytes. */
  readonly mayEndIn?: readonly ErrorFamily[];
  /** Makes the function that is fed. */
  readonly open: (read: ReadCorpus) => FuzzRun | Promise<FuzzRun>;
}

/** Reports a failure of an input: a promised property does not hold. */
export class BrokenPromise extends Error {
  override readonly name = "BrokenPromise";
}

/** Throws a {@linkcode BrokenPromise} with the text `what` unless `holds` is true. */
export function promise(holds: boolean, what: string): void {
  if (!holds) throw new BrokenPromise(what);
}
