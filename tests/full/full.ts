/**
 * Runs what takes too long for every change:
 *
 *     deno task test:full                   all parts, one after the other
 *     deno task test:full --commit HASH     one part of each group, chosen by the commit's hash, as CI does
 *     deno task test:full NAME…             these parts, or all of these groups
 *     deno task test:full --list            what there is, and how long it takes
 *
 * Exit code 1 when a part failed, 2 for wrong arguments.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { prepare } from "../tools/prepare.ts";
import { repositoryRoot } from "../world.ts";
import { chooseParts, numberOf } from "./choose.ts";
import { groupOf, type Part, parts } from "./parts.ts";

/** How a part ended. */
interface Ended {
  readonly part: Part;
  readonly passed: boolean;
  readonly minutes: number;
}

/** Does what the arguments ask for, and returns the exit code. */
async function full(args: readonly string[]): Promise<number> {
  const options = { commit: { type: "string" }, list: { type: "boolean" } } as const;
  const { values: { commit, list }, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  if (commit !== undefined && !/^[0-9a-f]{40,64}$/.test(commit)) {
    return refuse(`"${commit}" is no commit: --commit takes all of its hash, as "git rev-parse HEAD" prints it`);
  }
  const seed = commit === undefined ? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0 : numberOf(commit, "seed");
  const all = parts(seed);
  const unknown = positionals.find((name) => !all.some((part) => part.name === name || groupOf(part) === name));
  if (unknown !== undefined) return refuse(`No part and no group has the name "${unknown}"; --list shows them all`);
  const named = positionals.length === 0
    ? all
    : all.filter((part) => positionals.includes(part.name) || positionals.includes(groupOf(part)));
  const chosen = commit === undefined ? named : chooseParts(commit, named);
  const reason = commit === undefined ? "" : `, chosen by commit ${commit.slice(0, 12)}`;
  say(
    `${chosen.length} of ${all.length} parts${reason}, about ${
      Math.ceil(minutesOf(chosen))
    } minutes on two quiet cores:`,
  );
  for (const { name, minutes } of chosen) say(`  ${name.padEnd(24)} ${minutes} min`);
  if (list) return 0;
  await prepare("all");
  const ended: Ended[] = [];
  for (const part of chosen) ended.push(await runPart(part));
  return report(ended);
}

async function runPart(part: Part): Promise<Ended> {
  say(`\n── ${part.name}: deno ${part.args.join(" ")}`);
  const startMs = performance.now();
  const command = new Deno.Command(Deno.execPath(), { args: [...part.args], cwd: repositoryRoot, stdin: "null" });
  const { success } = await command.spawn().status;
  return { part, passed: success, minutes: (performance.now() - startMs) / 60_000 };
}

/** Shows how each part ended; those that do not count by themselves are counted in the words of `deno test`. */
function report(ended: readonly Ended[]): number {
  say(`\n${"part".padEnd(26)}result   minutes  expected`);
  for (const { part, passed, minutes } of ended) {
    const result = passed ? "passed" : "FAILED";
    say(`${part.name.padEnd(26)}${result.padEnd(9)}${minutes.toFixed(1).padStart(7)}${`${part.minutes}`.padStart(10)}`);
  }
  const failed = ended.filter(({ passed }) => !passed).length;
  const counted = ended.filter(({ part }) => !part.isTest);
  const countedFailed = counted.filter(({ passed }) => !passed).length;
  const minutes = ended.reduce((sum, one) => sum + one.minutes, 0);
  const mark = countedFailed === 0 ? "ok" : "FAILED";
  say(`${mark} | ${counted.length - countedFailed} passed | ${countedFailed} failed (${minutes.toFixed(0)}m)`);
  return failed === 0 ? 0 : 1;
}

function minutesOf(chosen: readonly Part[]): number {
  return chosen.reduce((sum, { minutes }) => sum + minutes, 0);
}

function refuse(why: string): number {
  Deno.stderr.writeSync(new TextEncoder().encode(`${why}\n`));
  return 2;
}

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

if (import.meta.main) Deno.exit(await full(Deno.args));
