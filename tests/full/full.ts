/**
 * Runs what takes too long for every change:
 *
 *     deno task test:full                   all parts, one after the other
 *     deno task test:full --commit HASH     one part of each group, chosen by the commit's hash, as CI does
 *     deno task test:full NAME…             these parts, or all of these groups
 *     deno task test:full --list            what there is, and how long it takes
 *
 * The seed of fuzzed inputs goes by the commit, too. With --minutes N a part that would not end within N minutes from the start
 * is skipped, loudly. Exit code 1 when a part failed, 2 for wrong arguments.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { prepare } from "../tools/prepare.ts";
import { repositoryRoot } from "../world.ts";
import { measureSpeed, slowdownOf } from "../tools/machine_speed.ts";
import { chooseParts } from "./choose.ts";
import { groupOf, type Part, parts } from "./parts.ts";
import { numberOf } from "./slice.ts";

/** How a part ended. */
interface Ended {
  readonly part: Part;
  readonly result: "passed" | "FAILED" | "SKIPPED";
  readonly minutes: number;
}

const optionTypes = { commit: { type: "string" }, list: { type: "boolean" }, minutes: { type: "string" } } as const;

/** Does what the arguments ask for, and returns the exit code. */
async function full(args: readonly string[]): Promise<number> {
  const startMs = performance.now();
  const parsed = parseArgs({ args: [...args], options: optionTypes, allowPositionals: true });
  const { values: { commit, list, minutes = "Infinity" }, positionals } = parsed;
  if (commit !== undefined && !/^[0-9a-f]{40,64}$/.test(commit)) {
    return refuse(`"${commit}" is no commit: --commit takes all of its hash, as "git rev-parse HEAD" prints it`);
  }
  const endMs = startMs + Number(minutes) * 60_000;
  if (Number.isNaN(endMs)) return refuse(`"${minutes}" is no number of minutes`);
  const seed = commit === undefined ? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0 : numberOf(`${commit} seed`);
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
  for (const part of chosen) ended.push(await runPart(part, endMs));
  return report(ended);
}

async function runPart(part: Part, endMs: number): Promise<Ended> {
  const startMs = performance.now();
  const leftMinutes = (endMs - startMs) / 60_000;
  const minutes = part.minutes * slowdownOf({ ...await measureSpeed(), load: 0 });
  if (leftMinutes < minutes) {
    say(`\n── ${part.name}: SKIPPED: it takes ${minutes.toFixed(0)} min here, and ${leftMinutes.toFixed(0)} are left`);
    return { part, result: "SKIPPED", minutes: 0 };
  }
  say(`\n── ${part.name}: deno ${part.args.join(" ")}`);
  const args = ["--pdeathsig", "KILL", Deno.execPath(), ...part.args];
  const { success } = await new Deno.Command("setpriv", { args, cwd: repositoryRoot, stdin: "null" }).spawn().status;
  return { part, result: success ? "passed" : "FAILED", minutes: (performance.now() - startMs) / 60_000 };
}

/** Shows how each part ended, and counts the parts in the words of `deno test`. It fails when not one was run, too. */
function report(ended: readonly Ended[]): number {
  say(`\n${"part".padEnd(26)}result   minutes  expected`);
  for (const { part, result, minutes } of ended) {
    say(`${part.name.padEnd(26)}${result.padEnd(9)}${minutes.toFixed(1).padStart(7)}${`${part.minutes}`.padStart(10)}`);
  }
  const count = (wanted: Ended["result"]) => ended.filter(({ result }) => result === wanted).length;
  const [passed, failed, skipped] = [count("passed"), count("FAILED"), count("SKIPPED")];
  if (passed + failed === 0) say("There was no time for any part: this machine is too slow or too busy");
  const minutes = ended.reduce((sum, one) => sum + one.minutes, 0).toFixed(0);
  const isWell = passed > 0 && failed === 0;
  say(`${isWell ? "ok" : "FAILED"} | ${passed} passed | ${failed} failed | ${skipped} ignored (${minutes}m)`);
  return isWell ? 0 : 1;
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

if (import.meta.main) {
  const exitCode = await full(Deno.args).catch((error: unknown) => {
    if (error instanceof TypeError && "code" in error) return refuse(error.message);
    throw error;
  });
  Deno.exit(exitCode);
}
