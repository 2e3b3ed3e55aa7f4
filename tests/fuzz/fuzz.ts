/**
 * Feeds mutated inputs to all code that reads a peer's bytes:
 *
 *     npx --yes deno@2.9.5 task fuzz [--seconds N] [--target NAME]... [--seed N] [--jobs N] [--inputs FOLDER]...
 *     npx --yes deno@2.9.5 task fuzz --target NAME --replay FILE
 *
 * Each input must be accepted, or refused with a code that stands for bad input, within one second of the reference
 * machine and within a memory limit. An input that violates this is written to `dist/fuzz/`, and the exit code is 1.
 * Wrong arguments: 2.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hex, sha256 } from "../../platform/bytes.ts";
import { orRefuse } from "../tools/arguments.ts";
import type { LoopResult } from "./_fuzz_loop.ts";
import { fuzzOptions } from "./_fuzz_options.ts";
import { supervise } from "./_supervise.ts";

const OUTPUT = fileURLToPath(new URL("../../dist/fuzz", import.meta.url));
const MIB = 2 ** 20;
const say = (text: string) => Deno.stdout.write(new TextEncoder().encode(`${text}\n`));

const { targets, seconds, seed, jobs, inputs, replay } = orRefuse(() => fuzzOptions(Deno.args));

const folder = await Deno.makeTempDir({ prefix: "fuzz-" });
const total = { executions: 0, failures: 0 };
const begun = performance.now();
try {
  await say(`seed ${seed}, ${targets.length} targets, ${seconds.toFixed(1)} s each, ${jobs} at once`);
  const waiting = [...targets];
  await Promise.all(Array.from({ length: jobs }, async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await fuzz(name);
  }));
} finally {
  await Deno.remove(folder, { recursive: true });
}
await say(
  `total: ${total.executions} executions in ${
    ((performance.now() - begun) / 1000).toFixed(0)
  } s, ${total.failures} targets failed`,
);
Deno.exit(total.failures > 0 ? 1 : 0);

async function fuzz(target: string): Promise<void> {
  const result = await supervise(
    { target, seconds, seed, more: inputs, ...(replay === undefined ? {} : { replay }) },
    folder,
  );
  total.executions += result.executions;
  await say(lineOf(target, result));
  if (result.failure === undefined) return;
  total.failures++;
  await say(result.failure.why.replaceAll(/^/gm, "    "));
  if (replay !== undefined) return;
  await Deno.mkdir(OUTPUT, { recursive: true });
  const { input } = result.failure;
  const path = join(OUTPUT, `${target}-${hex(await sha256(input)).slice(0, 12)}`);
  await Deno.writeFile(path, input);
  await say(
    `    ${input.length} bytes in ${path}; to see it again: deno task fuzz --target ${target} --replay ${path}`,
  );
}

function lineOf(target: string, { executions, outcomes, corpus, peakRss, failure }: LoopResult): string {
  const columns = [
    target.padEnd(20),
    `${executions} executions`.padStart(19),
    `${Math.round(executions / seconds)}/s`.padStart(8),
    `${outcomes} outcomes`.padStart(14),
    `${corpus} inputs`.padStart(12),
    `${Math.round(peakRss / MIB)} MiB`.padStart(9),
  ];
  return `${columns.join("")}${failure === undefined ? "" : "  FAILED"}`;
}
