import { capture } from "../tools/run.ts";
import { measurePair, millisecondsOf, type PairedTimes } from "./pairs.ts";

const REPETITIONS = 15;

/**
 * How long the compiled binary takes to start: against the runtime's own version, for which no JavaScript engine starts, and
 * against the shortest program.
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
