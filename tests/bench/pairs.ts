/** What two ways of doing the same work gave. The values with the same index are of the same round. */
export interface Pairs<Value, BaselineValue = Value> {
  readonly values: readonly Value[];
  readonly baselineValues: readonly BaselineValue[];
}

/** The milliseconds that some work takes. */
export async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/**
 * Measures something and its baseline in each round, so that other load on the machine affects both. The two alternate
 * in going first.
 */
export async function measurePairs<Value, BaselineValue = Value>(
  rounds: number,
  measure: () => Promise<Value>,
  measureBaseline: () => Promise<BaselineValue>,
): Promise<Pairs<Value, BaselineValue>> {
  const values: Value[] = [];
  const baselineValues: BaselineValue[] = [];
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) values.push(await measure());
    baselineValues.push(await measureBaseline());
    if (round % 2 === 1) values.push(await measure());
  }
  return { values, baselineValues };
}

/** Takes one number from each value of a series of pairs. */
export function pick<Value, BaselineValue>(
  { values, baselineValues }: Pairs<Value, BaselineValue>,
  of: (value: Value) => number,
  ofBaseline: (value: BaselineValue) => number,
): Pairs<number> {
  return { values: values.map(of), baselineValues: baselineValues.map(ofBaseline) };
}

/** Does short work several times, and returns the median of the milliseconds. */
export async function medianMsOf(repetitions: number, work: () => Promise<unknown>): Promise<number> {
  const timesMs: number[] = [];
  for (let i = 0; i < repetitions; i++) timesMs.push(await millisecondsOf(work));
  return median(timesMs);
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
