import { capture } from "../tools/run.ts";
import { measurePair, millisecondsOf, type PairedTimes } from "./pairs.ts";

const REPETITIONS = 15;

/**
 * Measures how long the compiled binary takes to start, compared with printing the runtime's version, which starts no
 * JavaScript engine, and with the shortest program.
 */
export async function benchStart(binary: string): Promise<PairedTimes[]> {
  const against = (baseline: string, args: readonly string[]) =>
    measurePair({
      ...{ name: "bootstrapper version (compiled)", baseline, repetitions: REPETITIONS },
      measure: () => millisecondsOf(() => capture([binary, "version"])),
      measureBaseline: () => millisecondsOf(() => capture([Deno.execPath(), ...args])),
    });
  return [await against("deno --version", ["--version"]), await against("deno eval 0", ["eval", "0"])];
}
