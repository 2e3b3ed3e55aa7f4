/** Each command line that a page shows is one that the program can read. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { AnyCommand } from "../../cli/command.ts";
import { describeCommands, describeFamilies } from "../../cli/command_description.ts";
import { COMMANDS } from "../../cli/commands.ts";
import { TestWorld } from "../../cli/testing/command_line.ts";
import { repositoryRoot } from "../world.ts";

const docs = (await Array.fromAsync(Deno.readDir(join(repositoryRoot, "docs")), ({ name }) => `docs/${name}`))
  .filter((path) => path.endsWith(".md"));
const PAGES = ["README.md", "CONTRIBUTING.md", ...docs].toSorted();
const read = (page: string) => Deno.readTextFile(join(repositoryRoot, page));

/** A command line of a page, and the first line of what the page shows below it. */
interface ShownCall {
  readonly line: string;
  readonly args: readonly string[];
  readonly below: string;
}

/** Finds the calls of the program in a page's blocks of `console`. */
function callsOf(page: string): readonly ShownCall[] {
  const blocks = [...page.matchAll(/^ *```console\n([^]*?)^ *```$/gm)].map(([, text = ""]) => text);
  return blocks.flatMap((block) => {
    const lines = block.replaceAll(/\\\n */g, "").split("\n");
    return lines.flatMap((text, index) => {
      const line = /^ *\$ (.*)$/.exec(text)?.[1] ?? "";
      return [...line.matchAll(/(?:^|[\s(])bootstrapper( [^|>;&)]*)/g)].map(([, call = ""]) => ({
        line,
        // What stands far behind a call says where it is typed.
        args: wordsOf(call.replace(/ {3,}.*$/, "")),
        below: lines[index + 1] ?? "",
      }));
    });
  });
}

/** Splits a call as a shell does, as far as pages need that. */
function wordsOf(call: string): readonly string[] {
  return [...call.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}

/** Commands that read nothing and do nothing: what is left is the command line itself. */
const idle = COMMANDS.map((command): AnyCommand => ({
  ...command,
  read: () => undefined,
  alsoKeeps: () => [],
  open: () => Promise.resolve(undefined),
  action: () => Promise.resolve(),
}));

for (const page of PAGES) {
  Deno.test(`each command line of ${page} can be read, or is refused as the page shows`, async () => {
    await using world = await TestWorld.create({ commands: idle });
    for (const { line, args, below } of callsOf(await read(page))) {
      const exitCode = await world.run(...args);
      if (below.startsWith("Error: Cannot read the command line: ")) {
        assert.deepEqual([exitCode, world.err.split("\n")[0]], [2, below], line);
      } else {
        assert.equal(exitCode, 0, `${line}\n${world.err}`);
      }
    }
  });
}

Deno.test("each command in backticks of a page exists, with the options that it is shown with", async () => {
  const commands = describeCommands(COMMANDS);
  const families = describeFamilies(commands).map(({ name }) => name);
  const wrong: string[] = [];
  for (const page of PAGES) {
    const text = (await read(page)).replaceAll(/^ *```[^]*?^ *```$/gm, "");
    for (const [, call = ""] of text.matchAll(/`bootstrapper( [^`]+)`/g)) {
      const words = wordsOf(call);
      // Words in capitals stand for any: `bootstrapper SUBCOMMAND --help`.
      if (/^[A-Z-]/.test(words[0] ?? "")) continue;
      const named = [3, 2, 1].map((count) => words.slice(0, count).join(" "));
      const command = named.flatMap((name) => commands.find((one) => one.name === name) ?? [])[0];
      if (command === undefined) {
        if (!named.some((name) => families.includes(name)) && words[0] !== "help") wrong.push(`${page}: ${call}`);
        continue;
      }
      const known = command.options.flatMap(({ long, short = long }) => [long, short]);
      const unknown = words.map((word) => word.split("=")[0] ?? "")
        .filter((word) => /^--?[a-z]/.test(word) && !known.includes(word));
      if (unknown.length > 0) wrong.push(`${page}: ${call}: ${unknown.join(", ")}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("callsOf() finds calls in pipes, over several lines and in subshells, and leaves comments out", () => {
  const page =
    "```console\n$ (umask 077; bootstrapper a --b 'c d' \\\n    e > f)\nout\n$ bootstrapper g | head    on h\n```\n";
  assert.deepEqual(callsOf(page).map(({ args, below }) => [args, below]), [
    [["a", "--b", "c d", "e"], "out"],
    [["g"], ""],
  ]);
});
