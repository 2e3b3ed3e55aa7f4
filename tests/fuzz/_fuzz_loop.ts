/**
 * The loop: choose an input, change it, feed it, keep it if it showed something new.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import type { Coverage } from "./_coverage.ts";
import { mutate } from "./_mutate.ts";
import type { Outcome } from "./_outcome.ts";
import { LONGEST_MS, outcomeOf } from "./_outcome.ts";
import { Random } from "./_random.ts";
import type { FuzzRun, FuzzTarget } from "./target.ts";

/** What a loop is made of. */
export interface LoopOptions {
  /** The target. */
  readonly target: FuzzTarget;
  /** Where it is fed. */
  readonly run: FuzzRun;
  /** The inputs to begin with. */
  readonly inputs: readonly Bytes[];
  /** Inputs that are fed once, and not changed. */
  readonly once?: readonly Bytes[];
  /** Makes every choice. */
  readonly seed: number;
  /** Whether to go on, asked between inputs. */
  readonly goesOn: (executions: number) => boolean;
  /** Tells what is new by the code that ran; without it by outcomes alone. */
  readonly coverage?: Coverage;
  /** Whether to go on asking that, which makes everything slower by half and more. */
  readonly isGuided?: () => boolean;
  /** How much processor time of the reference machine one input may take, milliseconds. */
  readonly longestMs?: number;
  /** What the process may use, bytes. Default: what one of its own may, 768 MiB. */
  readonly maximumRss?: number;
  /** Hears of each input before it is fed. */
  readonly before?: (input: Bytes) => void;
  /** Hears that an input ended. */
  readonly after?: () => void;
}

/** What came of it. */
export interface LoopResult {
  /** How many inputs were fed. */
  readonly executions: number;
  /** How many different outcomes there were. */
  readonly outcomes: number;
  /** How many inputs are kept. */
  readonly corpus: number;
  /** How much memory the process had at most, bytes. */
  readonly peakRss: number;
  /** The first input that failed, and why. */
  readonly failure?: { readonly input: Bytes; readonly why: string };
}

/** Asking for coverage costs as much as a hundred small inputs: several are fed in between, and again one by one where they brought something. */
const BATCH = 32;
const MOST_KEPT = 600;
/** Most inputs stay near the length of those that were given, as long ones take long. */
const LONG_ONE_IN = 8;
const LENGTHENING = 2;
const SHORT_BYTES = 2048;
/** What one process may use; no input is longer than 256 KiB. */
const MAXIMUM_RSS = 768 << 20;

/** Feeds inputs until it is told to end, or one fails. */
export async function fuzzLoop(options: LoopOptions): Promise<LoopResult> {
  const {
    target,
    run,
    inputs,
    once = [],
    seed,
    goesOn,
    coverage,
    isGuided = () => true,
    longestMs = LONGEST_MS,
    before,
    after,
    maximumRss = MAXIMUM_RSS,
  } = options;
  const random = new Random(seed, target.name);
  const shapes = new Set<string>();
  const kept: Bytes[] = [new Uint8Array(), ...inputs];
  const given = kept.length;
  const shortBytes = Math.max(SHORT_BYTES, ...inputs.map(({ length }) => length * LENGTHENING));
  let [executions, peakRss] = [0, 0];
  let last: Bytes = new Uint8Array();

  const feed = async (input: Bytes): Promise<Outcome> => {
    last = input;
    before?.(input);
    const outcome = await outcomeOf(run, target, input, { longestMs });
    after?.();
    executions++;
    return outcome;
  };
  const keep = (input: Bytes) => {
    if (kept.length < given + MOST_KEPT) kept.push(input);
    else kept[given + random.below(MOST_KEPT)] = input;
  };
  const result = (failure?: LoopResult["failure"]): LoopResult => ({
    ...{ executions, outcomes: shapes.size, corpus: kept.length, peakRss },
    ...(failure === undefined ? {} : { failure }),
  });

  for (const input of [...once, ...kept]) {
    const { shape, failure } = await feed(input);
    shapes.add(shape);
    if (failure !== undefined) return result({ input, why: failure });
  }
  if (coverage !== undefined) coverage.add(await coverage.take());

  while (goesOn(executions)) {
    const batch: Bytes[] = [];
    while (batch.length < BATCH && goesOn(executions)) {
      // Half of the time one of those that were found last.
      const recent = random.oneIn(2) ? Math.max(0, kept.length - 32) : 0;
      const input = kept[recent + random.below(kept.length - recent)] ?? new Uint8Array();
      const maximumBytes = random.oneIn(LONG_ONE_IN) ? target.maximumBytes : Math.min(target.maximumBytes, shortBytes);
      const changed = mutate(input, target.form, random, random.pick(kept) ?? input, maximumBytes);
      const { shape, failure } = await feed(changed);
      if (failure !== undefined) return result({ input: changed, why: failure });
      if (shapes.has(shape)) batch.push(changed);
      else keep(changed);
      shapes.add(shape);
    }
    peakRss = Math.max(peakRss, Deno.memoryUsage().rss);
    if (peakRss > maximumRss) {
      return result({
        input: last,
        why: `memory: ${peakRss >> 20} MiB after this input and those before it`,
      });
    }
    if (coverage?.isCounting !== true) continue;
    if (isGuided()) await keepNew(coverage, batch, feed, keep);
    else await coverage.stop();
  }
  return result();
}

/** Feeds a batch again, one by one, if some of it ran code that had never run. */
async function keepNew(
  coverage: Coverage,
  batch: readonly Bytes[],
  feed: (input: Bytes) => Promise<unknown>,
  keep: (input: Bytes) => void,
): Promise<void> {
  const together = await coverage.take();
  if (!coverage.wouldAdd(together)) return;
  for (const input of batch) {
    await feed(input);
    if (coverage.add(await coverage.take())) keep(input);
  }
  coverage.add(together);
}
