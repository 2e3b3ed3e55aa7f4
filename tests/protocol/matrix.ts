/**
 * Checks the models of the protocol, and searches what they leave out: every variant and every search, or those that are
 * named.
 *
 *     deno task test:protocol [NAME …] [--jobs N] [--cpu SECONDS] [--total SECONDS]
 *
 * One line for each as it ends, then tables in the form of README.md's. Exit code 1 when a result is not the expected
 * one, or was not reached in time; 2 for a name that no variant and no search has.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { proverif } from "../tools/proverif.ts";
import type { Outcome } from "./run_variant.ts";
import { runVariant } from "./run_variant.ts";
import { type Search, SEARCHES, searchSurprises } from "./searches.ts";
import { type Model, queriesOf, type Variant } from "./variant.ts";
import { MODELS, VARIANTS } from "./variants.ts";

/** How long the whole may take by the clock, seconds. */
const TOTAL_SECONDS = 60 * 60;
/** How much processor time one variant may take, seconds: the costliest takes a third of it. */
const CPU_SECONDS = 300;
/** One of which nothing is decided may take less: it is there so that somebody finds out when it is. */
const OPEN_CPU_SECONDS = 60;
/** A variant that waits for a processor longer than it works is cut off after so many times its processor time. */
const PATIENCE = 6;
/** Some variants need 2 GiB. */
const MAXIMUM_JOBS = 4;

/** How {@linkcode runVariants} runs. */
export interface RunOptions {
  /** How many at a time. */
  readonly jobs: number;
  /** Processor time of each, seconds. */
  readonly cpuSeconds: number;
  /** Time of all by the clock, seconds. */
  readonly totalSeconds: number;
  /** Hears of each as it ends. */
  readonly onEnd: (variant: Variant, outcome: Outcome) => void;
}

/** Checks variants, some at a time. Those that the total time does not suffice for have no verdicts. */
export async function runVariants(variants: readonly Variant[], options: RunOptions): Promise<Map<Variant, Outcome>> {
  const { jobs, totalSeconds, onEnd } = options;
  if (variants.length === 0) return new Map();
  const tool = await proverif();
  const texts = new Map<Model, string>();
  for (const { model } of variants) texts.set(model, texts.get(model) ?? await Deno.readTextFile(model.path));
  const endMs = performance.now() + totalSeconds * 1000;
  const outcomes = new Map<Variant, Outcome>();
  const waiting = [...variants];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const isOpen = next.kind === "open" && !/[TF]/.test(next.expected);
      const cpuSeconds = isOpen ? Math.min(OPEN_CPU_SECONDS, options.cpuSeconds) : options.cpuSeconds;
      const leftSeconds = Math.ceil((endMs - performance.now()) / 1000);
      const wallSeconds = Math.min(cpuSeconds * PATIENCE, leftSeconds);
      const outcome: Outcome = wallSeconds > 0
        ? await runVariant(tool, texts.get(next.model) ?? "", next, { cpuSeconds, wallSeconds })
        : { verdicts: new Map(queriesOf(next).map((query) => [query, "?"])), cut: true };
      outcomes.set(next, outcome);
      onEnd(next, outcome);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return outcomes;
}

/** What an outcome shows otherwise than expected, one sentence for each query. */
export function surprises(variant: Variant, { verdicts, cut }: Outcome): string[] {
  const { name, expected } = variant;
  return queriesOf(variant).flatMap((query, index) => {
    const [wanted, seen] = [expected[index] ?? "?", verdicts.get(query) ?? "?"];
    if (wanted === "?" || wanted === seen) return [];
    const found = seen === "T"
      ? "it is proved"
      : seen === "F"
      ? "it is false"
      : cut
      ? "there was no time"
      : "it is not decided";
    return [`${name} ${query}: ${wanted === "T" ? "must be proved" : "must be false"}, and ${found}`];
  });
}

/** The verdicts in one row, in the order of the queries. */
export function rowOf({ verdicts }: Outcome): string {
  return [...verdicts.values()].join("");
}

/** A row of README.md's table; a blank stands for a query that the variant does not have or ask. */
export function tableRow({ model, name, flags, why }: Variant, { verdicts, cpuSeconds }: Outcome): string {
  const cells = model.claims.map((claim) => verdicts.get(claim) ?? " ");
  return `| \`${name}\` | ${flags.join(" ")} | ${cells.join(" | ")} | ${cpuSeconds?.toFixed(0) ?? ""} | ${why} |`;
}

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

/** A table of the variants of one model, in the form of README.md's. */
function table({ claims }: Model, outcomes: readonly (readonly [Variant, Outcome])[]): string {
  return [
    `\n| variant | flags | ${claims.join(" | ")} | s | |`,
    `|${" --- |".repeat(claims.length + 4)}`,
    ...outcomes.map(([variant, outcome]) => tableRow(variant, outcome)),
  ].join("\n");
}

/** Runs a search, prints a line, and returns what is not as expected. */
function runSearch(search: Search): string[] {
  const startMs = performance.now();
  const outcome = search.run();
  const found = searchSurprises(search, outcome);
  const mark = found.length === 0 ? "✓" : "✗";
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1).padStart(6);
  const states = `${outcome.states} states`.padEnd(15);
  print(
    `${mark} ${search.name.padEnd(18)} ${states} ${seconds} s  ${outcome.counterexample?.wrong ?? "nothing wrong"}`,
  );
  return found;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: { jobs: { type: "string" }, cpu: { type: "string" }, total: { type: "string" } },
  });
  const names = [...VARIANTS, ...SEARCHES].map(({ name }) => name);
  const unknown = positionals.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    print(`No variant and no search has the name "${unknown}"; there are ${names.join(", ")}`);
    return 2;
  }
  const wrong = Object.entries(values).find(([, text]) => !/^[1-9]\d*$/.test(text));
  if (wrong !== undefined) {
    print(`Cannot read --${wrong[0]}: it must be a whole number of at least 1; current value is "${wrong[1]}"`);
    return 2;
  }
  const isChosen = ({ name }: { readonly name: string }) => positionals.length === 0 || positionals.includes(name);
  const chosen = VARIANTS.filter(isChosen);
  const outcomes = await runVariants(chosen, {
    jobs: Number(values.jobs ?? Math.max(1, Math.min(MAXIMUM_JOBS, navigator.hardwareConcurrency))),
    cpuSeconds: Number(values.cpu ?? CPU_SECONDS),
    totalSeconds: Number(values.total ?? TOTAL_SECONDS),
    onEnd: (variant, outcome) => {
      const mark = surprises(variant, outcome).length === 0 ? "✓" : "✗";
      const time = `${(outcome.cpuSeconds?.toFixed(1) ?? "").padStart(6)} s${outcome.cut ? ", cut off" : ""}`;
      print(`${mark} ${variant.name.padEnd(18)} ${rowOf(outcome).padEnd(11)} ${variant.expected.padEnd(11)} ${time}`);
    },
  });
  const searched = SEARCHES.filter(isChosen).flatMap(runSearch);
  for (const model of MODELS) {
    const ended = chosen.flatMap((variant) => {
      const outcome = variant.model === model ? outcomes.get(variant) : undefined;
      return outcome === undefined ? [] : [[variant, outcome] as const];
    });
    if (ended.length > 0) print(table(model, ended));
  }
  const found = [
    ...chosen.flatMap((variant) => {
      const outcome = outcomes.get(variant);
      return outcome === undefined ? [`${variant.name} was not run`] : surprises(variant, outcome);
    }),
    ...searched,
  ];
  print(found.length === 0 ? "\nEvery result is the expected one." : `\n${found.join("\n")}`);
  return found.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
