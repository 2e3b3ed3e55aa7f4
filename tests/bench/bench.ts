/**
 * Measures timings as ratios to a baseline of the same run, as medians of pairs, and reports them in `dist/bench.json`
 * and as a table:
 *
 *     npx --yes deno@2.9.5 task bench
 *
 * Needs root, as the inits run in namespaces. Takes no arguments.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { orRefuse, readArguments } from "../tools/arguments.ts";
import { compile } from "../tools/compile.ts";
import { prepare } from "../tools/prepare.ts";
import { repositoryRoot } from "../world.ts";
import { benchExchange } from "./exchange_bench.ts";
import type { Figure } from "./figures.ts";
import { figuresTable, isMet, ratioOf } from "./figures.ts";
import { benchInit } from "./init_bench.ts";
import { benchJoin } from "./join_bench.ts";
import type { PairedTimes } from "./pairs.ts";
import { rowOf, tableOf } from "./report.ts";
import { benchRun } from "./run_bench.ts";
import { benchStart } from "./start_bench.ts";
import { benchVerify } from "./verify_bench.ts";

const output = join(repositoryRoot, "dist/bench.json");
const say = (text: string) => Deno.stdout.write(new TextEncoder().encode(text));

orRefuse(() => readArguments(Deno.args, {}));
await prepare("integration");
const binary = await compile();
const parts: readonly (readonly [string, () => Promise<PairedTimes[]>])[] = [
  ["start of the binary", () => benchStart(binary)],
  ["verification", benchVerify],
  ["join exchange", benchExchange],
  ["init", benchInit],
];
const measured: PairedTimes[] = [];
for (const [name, bench] of parts) {
  await say(`measuring: ${name}\n`);
  measured.push(...await bench());
}
const figures: Figure[] = [];
for (const [name, bench] of [["run", benchRun], ["joins", benchJoin]] as const) {
  await say(`measuring: ${name}\n`);
  figures.push(...await bench(binary));
}
const rows = measured.map(rowOf);
const conditions = {
  time: new Date().toISOString(),
  cores: navigator.hardwareConcurrency,
  loadAverage: Deno.loadavg(),
  deno: Deno.version.deno,
};
const judged = figures.map((figure) => ({ ...figure, ratio: ratioOf(figure), isMet: isMet(figure) }));
const result = { version: 2, ...conditions, rows, figures: judged, measured };
await Deno.mkdir(dirname(output), { recursive: true });
await Deno.writeTextFile(output, `${JSON.stringify(result, null, 2)}\n`);
await say(
  `\n${tableOf(rows)}\n${figuresTable(figures)}\nload average ${
    conditions.loadAverage[0]?.toFixed(1)
  } on ${conditions.cores} cores; ${output}\n`,
);
Deno.exit(0);
