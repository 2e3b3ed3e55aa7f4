/** Times of the same work done in two ways. The two alternate, so that other load on the machine affects both. */
export interface PairedTimes {
  readonly name: string;
  /** The name of the baseline. */
  readonly baseline: string;
  /** The milliseconds of each repetition. */
  readonly timesMs: readonly number[];
  /** The milliseconds of the baseline in each repetition. */
  readonly baselineTimesMs: readonly number[];
}

/** Two ways to do the same work. Each returns the milliseconds that it took. */
export interface Pair {
  readonly name: string;
  /** The name of the baseline. */
  readonly baseline: string;
  readonly repetitions: number;
  /** Does the work, and returns the milliseconds. */
  measure(): Promise<number>;
  /** Does the baseline's work, and returns the milliseconds. */
  measureBaseline(): Promise<number>;
}

/** The milliseconds that some work takes. */
export async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Measures a pair. The two alternate in going first. */
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
 * @throws RangeError if there are no numbers.
 */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  if (upper === undefined || lower === undefined) throw new RangeError("Cannot give the median of no numbers");
  return (lower + upper) / 2;
}
