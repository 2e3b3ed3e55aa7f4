/**
 * One variant of a model, checked by ProVerif.
 *
 * @module
 */
import { join } from "node:path";
import { preprocess } from "./preprocess.ts";
import { keepClaims } from "./claims.ts";
import { queriesOf, type Variant } from "./variant.ts";

/** `T` proved, `F` an attack was found, `?` neither: ProVerif cannot tell, or had no time. */
export type Verdict = "T" | "F" | "?";

/** How much one variant may use. */
export interface Limits {
  /** Processor time, seconds: on a busy machine it says more than the clock. */
  readonly cpuSeconds: number;
  /** Time by the clock, seconds. */
  readonly wallSeconds: number;
}

/** What ProVerif says of a variant. */
export interface Outcome {
  /** One for each query. */
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** Processor time, seconds; not known where the clock ended it. */
  readonly cpuSeconds?: number;
  /** Whether a limit ended it. */
  readonly cut: boolean;
}

/** More than any variant that ends needs; one that does not may grow without end. */
const MEMORY_KIB = 6 * 2 ** 20;
/** Processor time and memory are limited; at its end the shell says how much processor time its children have used. */
const SCRIPT = 'ulimit -t "$1" -v "$2"; setpriv --pdeathsig KILL "$3" "$4"; times >&2';
const VERDICTS: readonly (readonly [end: RegExp, verdict: Verdict])[] = [
  [/is true\.$/, "T"],
  [/is false\.$/, "F"],
  [/cannot be proved\.$/, "?"],
];

/**
 * Checks one variant.
 *
 * @param tool ProVerif's path.
 * @param text The text of the variant's model.
 * @throws Error with what ProVerif says when it cannot read the model.
 */
export async function runVariant(
  tool: string,
  text: string,
  variant: Pick<Variant, "model" | "flags" | "asks">,
  limits: Limits,
): Promise<Outcome> {
  const folder = await Deno.makeTempDir({ prefix: "protocol-model-" });
  try {
    const file = join(folder, "model.pv");
    const queries = queriesOf(variant);
    await Deno.writeTextFile(file, keepClaims(preprocess(text, variant.flags), queries));
    // The shell ends with this process, or when the time is over, and the tool with the shell.
    const { stdout, stderr } = await new Deno.Command("setpriv", {
      args: ["--pdeathsig", "KILL", "bash", "-c", SCRIPT, "bash", `${limits.cpuSeconds}`, `${MEMORY_KIB}`, tool, file],
      stdin: "null",
      signal: AbortSignal.timeout(limits.wallSeconds * 1000),
    }).output();
    const output = new TextDecoder().decode(stdout);
    const complaint = output.split("\n").find((line) => /(?:^|\W)Error:/.test(line));
    if (complaint !== undefined) throw new Error(`Cannot check ${variant.flags.join(" ")}: ${complaint}`);
    const read = readVerdicts(output);
    if (read.length > queries.length) {
      throw new Error(`Cannot check ${variant.flags.join(" ")}: ${read.length} results`);
    }
    const used = readCpuSeconds(new TextDecoder().decode(stderr));
    return {
      verdicts: new Map(queries.map((query, index) => [query, read[index] ?? "?"])),
      ...(used === undefined ? {} : { cpuSeconds: used }),
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

/** The user time of a shell's children, from what `times` prints: a second line as `0m5.512s 0m0.110s`. */
export function readCpuSeconds(times: string): number | undefined {
  const [, minutes, seconds] = /^(\d+)m([\d.]+)s \d+m[\d.]+s\s*$/m.exec(times.trimEnd().split("\n").at(-1) ?? "") ?? [];
  return minutes === undefined ? undefined : Number(minutes) * 60 + Number(seconds);
}
