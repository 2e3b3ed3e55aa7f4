/**
 * A variant of a model: what is set, and what ProVerif must say of it.
 *
 * @module
 */
import { join } from "node:path";

/** A model of a part of the protocol. */
export interface Model {
  readonly name: string;
  readonly path: string;
  /** The claims, in the order of the columns of README.md's tables. */
  readonly claims: readonly string[];
  /**
   * The queries that the model has with some flags, in the order in which ProVerif answers them: claims, and honest
   * ends that are reached, whose queries must be false (`reach-…`).
   */
  readonly queriesOf: (flags: readonly string[]) => readonly string[];
}

/** One variant. */
export interface Variant {
  readonly model: Model;
  /** For people; unique among the variants of all models. */
  readonly name: string;
  /** The flags that are set; the model's head says what each is. */
  readonly flags: readonly string[];
  /** The queries that ProVerif is asked; all that the flags have, where none are named. */
  readonly asks?: readonly string[];
  /** The verdicts, in the order of {@linkcode queriesOf}; `?` is not decided, and any verdict will do. */
  readonly expected: string;
  /**
   * `base`: nothing is left out, everything must be proved. `breaks`: a rule is left out, and an attack must be found.
   * `insurance`: a rule is left out, and nothing breaks in this model. `open`: not all of it is decided.
   */
  readonly kind: "base" | "breaks" | "insurance" | "open";
  /** The attack, or what the scene is. */
  readonly why: string;
}

/** The queries that a variant asks, in the order in which ProVerif answers them. */
export function queriesOf({ model, flags, asks = [] }: Pick<Variant, "model" | "flags" | "asks">): string[] {
  return model.queriesOf(flags).filter((query) => asks.length === 0 || asks.includes(query));
}

/** The path of a model's file in this folder. */
export function pathOfModel(file: string): string {
  return join(import.meta.dirname ?? ".", file);
}
