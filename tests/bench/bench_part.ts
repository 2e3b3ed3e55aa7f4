import type { Figure } from "./figures.ts";

/** What a part of the bench works with. */
export interface BenchContext {
  /** The path of the compiled binary. */
  readonly binary: string;
  /** The number of pairs to measure. */
  readonly rounds: number;
}

/** Measures one part of the bench. */
export type BenchPart = (context: BenchContext) => Promise<readonly Figure[]>;
