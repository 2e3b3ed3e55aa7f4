import type { Part } from "./parts.ts";

/** How a part ended, and how long it took. */
export type EndedPart =
  & { readonly part: Pick<Part, "name" | "minutes">; readonly minutes: number }
  & (
    | { readonly result: "passed" | "FAILED" }
    /** `time`: the part would not have ended within `--minutes`. `cores`: the part needs more cores than there are. */
    | { readonly result: "SKIPPED"; readonly reason: "time" | "cores" }
  );

/** The result of a run. */
export interface Report {
  /** Lines of text. The last counts the parts in the words of `deno test`. */
  readonly text: string;
  /** 0 or 1. */
  readonly exitCode: number;
}

/**
 * Reports how each part ended. A run fails if a part failed, or if no part was run, unless none was run for lack of
 * time: on a slow machine that is not a failure.
 */
export function report(ended: readonly EndedPart[]): Report {
  const lines = [`\n${"part".padEnd(26)}result   minutes  expected`];
  for (const { part, result, minutes } of ended) {
    lines.push(
      `${part.name.padEnd(26)}${result.padEnd(9)}${minutes.toFixed(1).padStart(7)}${`${part.minutes}`.padStart(10)}`,
    );
  }
  const count = (wanted: EndedPart["result"]) => ended.filter(({ result }) => result === wanted).length;
  const [passed, failed, skipped] = [count("passed"), count("FAILED"), count("SKIPPED")];
  const outOfTime = ended.filter((one) => one.result === "SKIPPED" && one.reason === "time").length;
  const isNoneRun = passed + failed === 0;
  if (outOfTime > 0) {
    const what = isNoneRun ? "no part was run" : `${outOfTime} of ${ended.length} parts were not run`;
    lines.push(`SKIPPED for lack of time (--minutes): ${what}`);
  } else if (isNoneRun) lines.push("No part was run");
  const minutes = ended.reduce((sum, one) => sum + one.minutes, 0).toFixed(0);
  const isWell = failed === 0 && (!isNoneRun || outOfTime > 0);
  lines.push(`${isWell ? "ok" : "FAILED"} | ${passed} passed | ${failed} failed | ${skipped} ignored (${minutes}m)`);
  return { text: lines.join("\n"), exitCode: isWell ? 0 : 1 };
}
