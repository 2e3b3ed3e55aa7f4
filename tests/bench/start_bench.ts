import { capture } from "../tools/run.ts";
import { measurePair, millisecondsOf, type PairedTimes } from "./pairs.ts";

const REPETITIONS = 15;

/** How long the compiled binary takes to start, against the runtime that is in it. */
export async function benchStart(binary: string): Promise<PairedTimes[]> {
  return [
    await measurePair({
      name: "bootstrapper version (compiled)",
      baseline: "deno --version",
      repetitions: REPETITIONS,
      measure: () => millisecondsOf(() => capture([binary, "version"])),
      measureBaseline: () => millisecondsOf(() => capture([Deno.execPath(), "--version"])),
    }),
  ];
}
