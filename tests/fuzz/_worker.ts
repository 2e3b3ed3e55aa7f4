/**
 * The process that fuzzes one target. Its only argument is a {@linkcode WorkerTask} as JSON. At the end it prints a
 * {@linkcode WorkerReport} as one line of JSON; it prints another before it makes a failing input smaller.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { base64 } from "../../platform/bytes.ts";
import { Coverage } from "./_coverage.ts";
import { ProgressWriter } from "./_progress.ts";
import type { FuzzTarget } from "./target.ts";
import type { LoopResult } from "./_fuzz_loop.ts";

/** The task of a worker. */
export interface WorkerTask {
  readonly target: string;
  /** The duration in seconds. */
  readonly seconds: number;
  /** The seed of every random choice. */
  readonly seed: number;
  /** The file for the worker's progress. */
  readonly progress: string;
  /** Folders with additional inputs. */
  readonly more: readonly string[];
  /** A file that is fed alone; nothing else is fed. */
  readonly replay?: string;
}

/** The result of a worker, with the failing input in base64. */
export type WorkerReport = Omit<LoopResult, "failure"> & {
  readonly failure?: { readonly input: string; readonly why: string };
};

const ROOT = new URL("../..", import.meta.url).href;
const OWN = new URL(".", import.meta.url).href;
const [argument = ""] = Deno.args;
const task: WorkerTask = JSON.parse(argument);
const progress = new ProgressWriter(task.progress);

// The counters only count in modules that are loaded after them.
const coverage = task.replay === undefined
  ? await Coverage.start((url) => url.startsWith(ROOT) && !url.startsWith(OWN))
  : undefined;
const { TARGETS } = await import("./targets.ts");
const { fuzzLoop } = await import("./_fuzz_loop.ts");
const { outcomeOf } = await import("./_outcome.ts");
const { filesOf, inputsOf, crashersOf, readCorpus } = await import("./_corpus.ts");
const { longInputsOf } = await import("./_long_inputs.ts");
const { reduced } = await import("./_reduce.ts");

const target = TARGETS.find(({ name }: FuzzTarget) => name === task.target);
if (target === undefined) throw new Error(`There is no target "${task.target}"`);
const run = await target.open(readCorpus);
const inputs = task.replay === undefined
  ? [
    ...await inputsOf(target.name),
    ...await crashersOf(target.name),
    ...(await Promise.all(task.more.map(filesOf))).flat(),
  ]
  : [await Deno.readFile(task.replay)];
// The time counts from the first mutated input, as the given inputs take however long they take.
let begun: number | undefined;
const isWithin = (seconds: number) => performance.now() - (begun ??= performance.now()) < seconds * 1000;
const before = (input: Bytes) => progress.before(input);
const after = () => progress.after();

const result = await fuzzLoop({
  ...{ target, run, before, after, seed: task.seed },
  inputs: inputs.filter(({ length }) => length <= target.maximumBytes),
  once: task.replay === undefined ? longInputsOf(target.name) : [],
  goesOn: () => task.replay === undefined && isWithin(task.seconds),
  isGuided: () => isWithin(task.seconds / 2),
  ...(coverage === undefined ? {} : { coverage }),
});
report(result);
if (result.failure !== undefined && task.replay === undefined) {
  const { input, why } = result.failure;
  const smaller = await reduced(input, async (candidate) => {
    before(candidate);
    const { failure } = await outcomeOf(run, target, candidate);
    after();
    return failure !== undefined && kindOf(failure) === kindOf(why);
  });
  report({ ...result, failure: { input: smaller, why } });
}
Deno.exit(0);

/** The first line without its numbers, and the place where it was thrown. */
function kindOf(why: string): string {
  return why.split("\n").slice(0, 2).join("\n").replaceAll(/\d+ ms/g, "").replaceAll(/"[^"]*"/g, "");
}

function report({ failure, ...rest }: LoopResult): void {
  const made: WorkerReport = {
    ...rest,
    ...(failure === undefined ? {} : { failure: { why: failure.why, input: base64(failure.input) } }),
  };
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(made)}\n`));
}
