/**
 * The fuzzing loop: choose an input, mutate it, feed it, and keep it if it produced something new.
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

/** The options of {@linkcode fuzzLoop}. */
export interface LoopOptions {
  readonly target: FuzzTarget;
  /** The function that is fed. */
  readonly run: FuzzRun;
  /** The initial inputs. */
  readonly inputs: readonly Bytes[];
  /** Inputs that are fed once, and never mutated. */
  readonly once?: readonly Bytes[];
  /** The seed of every random choice. */
  readonly seed: number;
  /** Whether to continue; called between inputs. */
  readonly goesOn: (executions: number) => boolean;
  /** Detects new inputs by the code that ran. Without it only outcomes count. */
  readonly coverage?: Coverage;
  /** Whether to continue using coverage, which makes each execution slower by half or more. */
  readonly isGuided?: () => boolean;
  /** The processor time that one input may take, in milliseconds of the reference machine. */
  readonly longestMs?: number;
  /** The memory that the process may use, in bytes. Default: 768 MiB, the limit of a fuzzing process of its own. */
  readonly maximumRss?: number;
  /** Called with each input before it is fed. */
  readonly before?: (input: Bytes) => void;
  /** Called after each input. */
  readonly after?: () => void;
}

/** The result of {@linkcode fuzzLoop}. */
export interface LoopResult {
  /** The number of inputs that were fed. */
  readonly executions: number;
  /** The number of different outcomes. */
  readonly outcomes: number;
  /** The number of inputs that were kept. */
  readonly corpus: number;
  /** The highest memory use of the process, in bytes. */
  readonly peakRss: number;
  /** The first input that failed, with the reason. */
  readonly failure?: { readonly input: Bytes; readonly why: string };
}

/**
 * Reading the coverage costs as much as a hundred small inputs. So a batch is fed between two reads, and fed again one
 * by one if it reached new code.
 */
const BATCH = 32;
const MOST_KEPT = 600;
/** Most inputs stay close to the length of the given ones, as long inputs take long. */
const LONG_ONE_IN = 8;
const LENGTHENING = 2;
const SHORT_BYTES = 2048;
/** The memory that one process may use; no input is longer than 256 KiB. */
const MAXIMUM_RSS = 768 << 20;

/** Feeds inputs until `goesOn` returns false or an input fails. */
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
      // Half of the time, one of the inputs that were kept last.
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

/** Feeds a batch again, one by one, if it ran code for the first time. */
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
