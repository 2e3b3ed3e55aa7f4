/**
 * One variant of the model, checked by ProVerif.
 *
 * @module
 */
import { join } from "node:path";
import { preprocess } from "./preprocess.ts";
import type { Flag, Query } from "./variants.ts";
import { queriesOf } from "./variants.ts";

/** `T` proved, `F` an attack was found, `?` neither: ProVerif cannot tell, or had no time. */
export type Verdict = "T" | "F" | "?";

/** How much one variant may use. */
export interface Limits {
  /** Processor time, seconds: on a busy machine it says more than the clock. */
  readonly cpuSeconds: number;
  /** Time by the clock, seconds. */
  readonly wallSeconds: number;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** What ProVerif says of a variant. */
export interface Outcome {
  /** One for each query. */
  readonly verdicts: ReadonlyMap<Query, Verdict>;
  /** Processor time, seconds. */
  readonly cpuSeconds: number;
  /** Whether a limit ended it. */
  readonly cut: boolean;
}

/** More than any variant that ends needs; one that does not may grow without end. */
const MEMORY_BYTES = 6 * 2 ** 30;
const VERDICTS: readonly (readonly [end: RegExp, verdict: Verdict])[] = [
  [/is true\.$/, "T"],
  [/is false\.$/, "F"],
  [/cannot be proved\.$/, "?"],
];

/**
 * Checks one variant.
 *
 * @param tool ProVerif's path.
 * @param model The model's text.
 * @throws Error with what ProVerif says when it cannot read the model.
 */
export async function runVariant(
  tool: string,
  model: string,
  flags: readonly Flag[],
  limits: Limits,
): Promise<Outcome> {
  const folder = await Deno.makeTempDir({ prefix: "protocol-model-" });
  try {
    const file = join(folder, "model.pv");
    await Deno.writeTextFile(file, preprocess(model, flags));
    const { cpuSeconds, wallSeconds, signal } = limits;
    // Killed by the kernel with this process, and when it has used too much.
    const limited = [
      "setpriv",
      "--pdeathsig",
      "KILL",
      "prlimit",
      `--cpu=${cpuSeconds}`,
      `--as=${MEMORY_BYTES}`,
      tool,
      file,
    ];
    const script = `TIMEFORMAT="cpu %U"; time timeout --signal=KILL ${wallSeconds} "$@"`;
    const { stdout, stderr } = await new Deno.Command("bash", {
      args: ["-c", script, "bash", ...limited],
      stdin: "null",
      ...(signal === undefined ? {} : { signal }),
    }).output();
    const output = new TextDecoder().decode(stdout);
    const complaint = output.split("\n").find((line) => /(?:^|\W)Error:/.test(line));
    if (complaint !== undefined) throw new Error(`Cannot check ${flags.join(" ")}: ${complaint}`);
    const queries = queriesOf(flags);
    const read = readVerdicts(output);
    if (read.length > queries.length) throw new Error(`Cannot check ${flags.join(" ")}: ${read.length} results`);
    const cpu = /^cpu ([\d.]+)$/m.exec(new TextDecoder().decode(stderr))?.[1];
    return {
      verdicts: new Map(queries.map((query, index) => [query, read[index] ?? "?"])),
      cpuSeconds: Number(cpu ?? cpuSeconds),
      cut: read.length < queries.length,
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The verdicts in ProVerif's output, in the order of the queries. What it says beside a result is none. */
export function readVerdicts(output: string): Verdict[] {
  return output.split("\n")
    .filter((line) => /^RESULT (?!\((?:even|but) )/.test(line))
    .map((line) => VERDICTS.find(([end]) => end.test(line))?.[1] ?? "?");
}
