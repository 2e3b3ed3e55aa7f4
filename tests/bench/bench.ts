/**
 * Timings as ratios against a baseline of the same run, as medians of pairs, in `dist/bench.json` and as a table:
 *
 *     npx --yes deno@2.9.5 task bench
 *
 * Needs root, as the inits run in namespaces.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { compile } from "../tools/compile.ts";
import { prepare } from "../tools/prepare.ts";
import { repositoryRoot } from "../world.ts";
import { benchExchange } from "./exchange_bench.ts";
import { benchInit } from "./init_bench.ts";
import type { PairedTimes } from "./pairs.ts";
import { rowOf, tableOf } from "./report.ts";
import { benchStart } from "./start_bench.ts";

const output = join(repositoryRoot, "dist/bench.json");
const say = (text: string) => Deno.stdout.write(new TextEncoder().encode(text));

await prepare("integration");
const binary = await compile();
const parts: readonly (readonly [string, () => Promise<PairedTimes[]>])[] = [
  ["start of the binary", () => benchStart(binary)],
  ["join exchange", benchExchange],
  ["init", benchInit],
];
const measured: PairedTimes[] = [];
for (const [name, bench] of parts) {
  await say(`measuring: ${name}\n`);
  measured.push(...await bench());
}
const rows = measured.map(rowOf);
const conditions = {
  time: new Date().toISOString(),
  cores: navigator.hardwareConcurrency,
  loadAverage: Deno.loadavg(),
  deno: Deno.version.deno,
};
await Deno.mkdir(dirname(output), { recursive: true });
await Deno.writeTextFile(output, `${JSON.stringify({ version: 1, ...conditions, rows, measured }, null, 2)}\n`);
await say(
  `\n${tableOf(rows)}\nload average ${conditions.loadAverage[0]?.toFixed(1)} on ${conditions.cores} cores; ${output}\n`,
);
Deno.exit(0);
