import { capture } from "../tools/run.ts";
import type { BenchPart } from "./bench_part.ts";
import type { Figure } from "./figures.ts";
import { measurePairs, medianMsOf } from "./pairs.ts";

/** The starts of one round. */
const STARTS = 5;

/**
 * Measures how long the compiled binary takes to start, compared with printing the runtime's version, which starts no
 * JavaScript engine, and with the shortest program.
 */
export const benchStart: BenchPart = async ({ binary, rounds }) => {
  const against = async (baseline: string, args: readonly string[]): Promise<Figure> => ({
    ...{ name: "bootstrapper version (compiled)", baseline, unit: "ms" },
    ...await measurePairs(
      rounds,
      () => medianMsOf(STARTS, () => capture([binary, "version"])),
      () => medianMsOf(STARTS, () => capture([Deno.execPath(), ...args])),
    ),
  });
  return [await against("deno --version", ["--version"]), await against("deno eval 0", ["eval", "0"])];
};
