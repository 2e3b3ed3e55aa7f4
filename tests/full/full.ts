/** Runs the tests that take too long to run on every change; see {@linkcode HELP}. */
import { parseArgs } from "node:util";
import { prepare } from "../tools/prepare.ts";
import { repositoryRoot } from "../world.ts";
import { measureProcessorSlowdown } from "../tools/machine_speed.ts";
import { chooseParts } from "./choose.ts";
import { fits, groupOf, type Part, parts } from "./parts.ts";
import { type EndedPart, report } from "./report.ts";
import { numberOf } from "./slice.ts";

const HELP = `Usage: deno task test:full [--commit HASH] [--minutes N] [--list] [NAME…]

Runs the tests that take too long to run on every change, one part after the other.

  NAME           a part, as "crash/2-of-4", or a group, as "vm"; without names all parts
  --commit HASH  one part of each group, chosen by the commit's hash, as in CI; the hash also seeds the fuzzed inputs
  --minutes N    skip, with a message, a part that would not end within N minutes from the start
  --list         show the parts, and how long they take
  --help         show this

Exit codes: 0 no part failed; 1 a part failed, or no part was run for a reason other than --minutes; 2 wrong arguments.
`;

const optionTypes = {
  commit: { type: "string" },
  help: { type: "boolean", short: "h" },
  list: { type: "boolean" },
  minutes: { type: "string" },
} as const;

/** Does what the arguments ask for, and returns the exit code. */
async function full(args: readonly string[]): Promise<number> {
  const startMs = performance.now();
  const parsed = parseArgs({ args: [...args], options: optionTypes, allowPositionals: true });
  const { values: { commit, help, list, minutes }, positionals } = parsed;
  if (help) {
    say(HELP.trimEnd());
    return 0;
  }
  if (commit !== undefined && !/^[0-9a-f]{40,64}$/.test(commit)) {
    return refuse(
      `Cannot read --commit: it must be a whole hash, as "git rev-parse HEAD" prints it; current value is "${commit}"`,
    );
  }
  if (minutes !== undefined && !/^-?\d+$/.test(minutes)) {
    return refuse(`Cannot read --minutes: it must be a whole number, as "30"; current value is "${minutes}"`);
  }
  const endMs = startMs + Number(minutes ?? Infinity) * 60_000;
  const seed = commit === undefined ? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0 : numberOf(`${commit} seed`);
  const all = parts(seed);
  const unknown = positionals.find((name) => !all.some((part) => part.name === name || groupOf(part) === name));
  if (unknown !== undefined) return refuse(`No part and no group has the name "${unknown}"; --list shows them all`);
  const named = positionals.length === 0
    ? all
    : all.filter((part) => positionals.includes(part.name) || positionals.includes(groupOf(part)));
  const cores = navigator.hardwareConcurrency;
  const tooLarge = named.filter((part) => !fits(part, cores) && !positionals.includes(part.name));
  const runnable = named.filter((part) => !tooLarge.includes(part));
  const chosen = commit === undefined ? runnable : chooseParts(commit, runnable, cores);
  const reason = commit === undefined ? "" : `, chosen by commit ${commit.slice(0, 12)}`;
  say(
    `${chosen.length} of ${all.length} parts${reason}, about ${
      Math.ceil(minutesOf(chosen))
    } minutes on two quiet cores:`,
  );
  for (const { name, minutes } of chosen) say(`  ${name.padEnd(24)} ${minutes} min`);
  for (const part of tooLarge) say(`SKIPPED ${part.name}: it needs ${part.cores} cores, and there are ${cores}`);
  if (list) return 0;
  await prepare("all");
  const ended = tooLarge.map((part): EndedPart => ({ part, result: "SKIPPED", reason: "cores", minutes: 0 }));
  for (const part of chosen) ended.push(await runPart(part, endMs));
  const { text, exitCode } = report(ended);
  say(text);
  return exitCode;
}

async function runPart(part: Part, endMs: number): Promise<EndedPart> {
  const startMs = performance.now();
  const leftMinutes = (endMs - startMs) / 60_000;
  const minutes = part.minutes * await measureProcessorSlowdown();
  if (leftMinutes < minutes) {
    const left = Math.max(0, leftMinutes).toFixed(0);
    say(`\n── ${part.name}: SKIPPED: it takes ${minutes.toFixed(0)} min here, and ${left} are left`);
    return { part, result: "SKIPPED", reason: "time", minutes: 0 };
  }
  say(`\n── ${part.name}: deno ${part.args.join(" ")}`);
  const args = ["--pdeathsig", "KILL", Deno.execPath(), ...part.args];
  const { success } = await new Deno.Command("setpriv", { args, cwd: repositoryRoot, stdin: "null" }).spawn().status;
  return { part, result: success ? "passed" : "FAILED", minutes: (performance.now() - startMs) / 60_000 };
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
