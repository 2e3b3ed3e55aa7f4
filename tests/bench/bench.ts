/**
 * Measures figures in rounds, each together with its baseline; see {@linkcode HELP}.
 *
 * Needs root, as the inits run in namespaces.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { orRefuse } from "../tools/arguments.ts";
import { compile } from "../tools/compile.ts";
import { prepare } from "../tools/prepare.ts";
import { repositoryRoot } from "../world.ts";
import type { BenchPart } from "./bench_part.ts";
import { BusyProcesses } from "./busy_processes.ts";
import { benchExchange } from "./exchange_bench.ts";
import type { Figure } from "./figures.ts";
import { FEWEST_PAIRS } from "./figures.ts";
import { benchFounding } from "./founding_bench.ts";
import { benchInit, INIT_PAIRS } from "./init_bench.ts";
import { benchJoins } from "./join_bench.ts";
import { type BenchOptions, benchOptionsOf } from "./options.ts";
import { benchPeers } from "./peers_bench.ts";
import { judged, tableOf } from "./report.ts";
import { benchRun } from "./run_bench.ts";
import { benchStart } from "./start_bench.ts";
import { benchVerify } from "./verify_bench.ts";

/** A part of the bench, and the pairs that it measures by default. */
interface PartEntry {
  readonly name: string;
  readonly what: string;
  readonly bench: BenchPart;
  readonly rounds: number;
}

const PARTS: readonly PartEntry[] = [
  { name: "start", what: "start of the binary", bench: benchStart, rounds: FEWEST_PAIRS },
  { name: "verify", what: "verification of evidence", bench: benchVerify, rounds: FEWEST_PAIRS },
  { name: "exchange", what: "a Join exchange without the API server", bench: benchExchange, rounds: FEWEST_PAIRS },
  { name: "init", what: "a whole init against a bare kubeadm init", bench: benchInit, rounds: INIT_PAIRS },
  { name: "run", what: "start and memory of a node that waits", bench: benchRun, rounds: FEWEST_PAIRS },
  { name: "joins", what: "tickets of a join service with a real API server", bench: benchJoins, rounds: FEWEST_PAIRS },
  { name: "founding", what: "a founding among equals, up to the decision", bench: benchFounding, rounds: FEWEST_PAIRS },
  { name: "peers", what: "joins against those of plain kubeadm", bench: benchPeers, rounds: FEWEST_PAIRS },
];

const HELP = `Usage: deno task bench [PART…] [--rounds N] [--load N]

Measures figures in rounds, each together with a baseline. Writes a table, and dist/bench.json.

  PART        one of these; without names all:
${PARTS.map(({ name, what, rounds }) => `                ${name.padEnd(10)}${what} (${rounds} rounds)`).join("\n")}
  --rounds N  the number of rounds of each part; goals are not judged by fewer than by default
  --load N    N busy processes besides, for the whole measurement: a load average of about N and more
  --help      show this

Exit codes: 0 measured, whether or not a goal is missed; 2 wrong arguments.
`;

const output = join(repositoryRoot, "dist/bench.json");
const say = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(text));

/** What was measured, and the 1-minute load average at the end of each part. */
interface Measured {
  readonly figures: readonly Figure[];
  readonly loadAverages: Readonly<Record<string, number>>;
}

async function bench(options: BenchOptions): Promise<void> {
  await prepare("integration");
  const binary = await compile();
  const startAverage = Deno.loadavg()[0] ?? NaN;
  await using _load = BusyProcesses.start(options.load);
  say(`${options.load} busy processes besides; load average ${startAverage.toFixed(1)} before\n`);
  let measured: Measured = { figures: [], loadAverages: { before: startAverage } };
  for (const part of PARTS) {
    if (!options.parts.includes(part.name)) continue;
    const rounds = options.rounds ?? part.rounds;
    say(`measuring ${part.name}: ${rounds} rounds\n`);
    const startMs = performance.now();
    const figures = await part.bench({ binary, rounds });
    const average = Deno.loadavg()[0] ?? NaN;
    measured = {
      figures: [...measured.figures, ...figures],
      loadAverages: { ...measured.loadAverages, [part.name]: average },
    };
    await write(options, measured);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
    say(`${tableOf(figures)}${part.name}: ${seconds} s; load average ${average.toFixed(1)} at its end\n\n`);
  }
  const { figures, loadAverages } = measured;
  const averages = Object.entries(loadAverages).map(([when, average]) => `${when} ${average.toFixed(1)}`).join(", ");
  say(`${tableOf(figures)}\n${conditions(options)}; load averages: ${averages}\n${output}\n`);
}

function conditions({ load }: BenchOptions): string {
  return `${navigator.hardwareConcurrency} cores, ${load} busy processes besides`;
}

async function write({ parts, load }: BenchOptions, { figures, loadAverages }: Measured): Promise<void> {
  const result = {
    ...{ version: 3, time: new Date().toISOString(), cores: navigator.hardwareConcurrency, deno: Deno.version.deno },
    ...{ parts, busyProcesses: load, loadAverages, figures: judged(figures) },
  };
  await Deno.mkdir(dirname(output), { recursive: true });
  await Deno.writeTextFile(output, `${JSON.stringify(result, null, 2)}\n`);
}

const options = orRefuse(() => benchOptionsOf(Deno.args, PARTS.map(({ name }) => name)));
if (options.isHelp) say(HELP);
else await bench(options);
Deno.exit(0);
