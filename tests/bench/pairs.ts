/** Times of the same work by two ways in turn, so that what else the machine does falls on both. */
export interface PairedTimes {
  /** What is measured. */
  readonly name: string;
  /** What it is compared with. */
  readonly baseline: string;
  /** Milliseconds of each repetition. */
  readonly timesMs: readonly number[];
  /** Milliseconds of the baseline in each repetition. */
  readonly baselineTimesMs: readonly number[];
}

/** Two ways to do something, each of which gives the milliseconds that it took. */
export interface Pair {
  /** What is measured. */
  readonly name: string;
  /** What it is compared with. */
  readonly baseline: string;
  /** How often. */
  readonly repetitions: number;
  /** Does it, and gives the milliseconds. */
  measure(): Promise<number>;
  /** Does the baseline, and gives the milliseconds. */
  measureBaseline(): Promise<number>;
}

/** The milliseconds that work takes. */
export async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Measures a pair; which of the two begins alternates. */
export async function measurePair(pair: Pair): Promise<PairedTimes> {
  const timesMs: number[] = [];
  const baselineTimesMs: number[] = [];
  for (let i = 0; i < pair.repetitions; i++) {
    if (i % 2 === 0) timesMs.push(await pair.measure());
    baselineTimesMs.push(await pair.measureBaseline());
    if (i % 2 === 1) timesMs.push(await pair.measure());
  }
  return { name: pair.name, baseline: pair.baseline, timesMs, baselineTimesMs };
}

/**
 * The middle of some numbers, or the mean of the two in the middle.
 *
 * @throws RangeError if there is none.
 */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  if (upper === undefined || lower === undefined) throw new RangeError("Cannot give the median of no numbers");
  return (lower + upper) / 2;
}
