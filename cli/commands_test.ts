/** Rules that hold for every command, including new ones: see `CliCommand`. */
import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path";
import { repositoryRoot } from "../tests/world.ts";
import { type AnyCommand, type CliCommand, HELP_GROUPS } from "./command.ts";
import { COMMAND_FAMILIES, COMMANDS } from "./commands.ts";
import { isSet, optionalText, outputForm } from "./options.ts";
import { printResult } from "./output.ts";
import { PERMISSIONS } from "./permissions.ts";
import { TestWorld } from "./testing/command_line.ts";

/** As many lines as most terminals have when they open, but for the prompt. */
const SCREEN_LINES = 28;
const SCREEN_COLUMNS = 80;
/** The list of all commands may be longer than the smallest screen. */
const LIST_LINES = 36;
const visible = COMMANDS.filter((command) => command.isHidden !== true);

/** Returns a command line without `bootstrapper` and without the shell's redirections. */
function argumentsOf(example: string): readonly string[] {
  const [program, ...args] = example.replaceAll("\\\n", " ").replace(/ > \S+$/, "").split(/\s+/);
  assert.equal(program, "bootstrapper");
  return args;
}

for (const command of visible) {
  const { name, examples, description } = command;
  Deno.test(`${name} --help describes the command on one screen, and ends with examples`, async () => {
    await using world = await TestWorld.create();
    assert.equal(await world.run(...name.split(" "), "--help"), 0);
    const { out, err } = world;
    assert.equal(err, "");
    assert.match(description, /^[a-z].*[^.]$/);
    assert.ok(out.includes(`\n${description}\n`), out);
    const shown = examples.map((example) => `  ${example.replaceAll("\n", "\n  ")}\n`).join("");
    assert.ok(out.endsWith(`\nExample${examples.length === 1 ? "" : "s"}:\n${shown}`), out);
    const lines = out.trimEnd().split("\n");
    const beforeExamples = lines.slice(0, lines.findIndex((line) => /^Examples?:$/.test(line)) - 1);
    assert.ok(beforeExamples.length <= SCREEN_LINES, `${beforeExamples.length} lines`);
    assert.ok(lines.every((line) => line.length <= SCREEN_COLUMNS), out);
  });

  Deno.test(`the examples of ${name} are read as calls of it`, async () => {
    const seen: unknown[] = [];
    const stub = (called: AnyCommand): AnyCommand => ({
      ...called,
      open: () => Promise.resolve(undefined),
      action: (options) => Promise.resolve(void seen.push([called.name, options !== undefined])),
    });
    await using world = await TestWorld.create({ commands: COMMANDS.map(stub) });
    for (const example of examples) assert.equal(await world.run(...argumentsOf(example)), 0, world.err);
    assert.deepEqual(seen, examples.map(() => [name, true]));
  });
}

Deno.test("bootstrapper --help lists every command, or its family with its name, and is short", async () => {
  await using world = await TestWorld.create();
  assert.equal(await world.run("--help"), 0);
  const lines = world.out.trimEnd().split("\n");
  assert.ok(lines.length <= LIST_LINES && lines.every((line) => line.length <= SCREEN_COLUMNS), world.out);
  for (const { name } of visible) {
    const [first = "", second] = name.split(" ");
    const line = lines.find((one) => one.startsWith(`  ${first} `)) ?? "";
    assert.ok(second === undefined ? line !== "" : line.includes(second), name);
  }
  for (const [family, description] of Object.entries(COMMAND_FAMILIES)) {
    assert.equal(await world.run(...family.split(" "), "--help"), 0);
    assert.ok(world.out.includes(`\n${description}\n`) && /\nExamples?:\n(?: {2}.*\n)+$/.test(world.out));
    assert.ok(visible.some(({ name }) => name.startsWith(`${family} `)), family);
  }
});

Deno.test("every command has a name of one to three words, a group, and a family for all but the last", () => {
  assert.equal(new Set(COMMANDS.map(({ name }) => name)).size, COMMANDS.length);
  for (const { name, group } of COMMANDS) {
    assert.match(name, /^[a-z]+(?:-[a-z]+)*(?: [a-z]+){0,2}$/);
    assert.ok(HELP_GROUPS.includes(group));
    const words = name.split(" ");
    words.forEach((_, index) => {
      assert.equal(words.slice(0, index + 1).join(" ") in COMMAND_FAMILIES, index < words.length - 1, name);
    });
  }
});

Deno.test("no command keeps ffi or import, six may start programs, and only the process with the devices keeps all permissions", () => {
  for (const { name, keeps } of COMMANDS) {
    assert.equal(keeps === "all", name === "device", name);
    if (keeps === "all") continue;
    const names: readonly string[] = keeps;
    assert.ok(!names.includes("ffi") && !names.includes("import"), name);
    assert.deepEqual(names, PERMISSIONS.filter((permission) => names.includes(permission)), "sorted, none twice");
    const starters = ["run", "reset", "control-plane renew", "adopt here", "adopt finish", "restore"];
    assert.equal(names.includes("run"), starters.includes(name), name);
  }
  assert.deepEqual(COMMANDS.filter(({ isHidden }) => isHidden).map(({ name }) => name), ["init-front", "device"]);
});

/** Returns the modules that a file loads: by static imports and, on request, also by dynamic ones. */
async function loadedBy(file: string, isWithLazy: boolean, seen: Set<string> = new Set()): Promise<Set<string>> {
  if (seen.has(file)) return seen;
  seen.add(file);
  if (!file.endsWith(".ts")) return seen;
  const text = await Deno.readTextFile(join(repositoryRoot, file));
  const atStart = text.matchAll(/^(?:import|export)(?! type\b)[^;"]*?(?:\bfrom )?"([^"]+)"/gm);
  const later = isWithLazy ? text.matchAll(/\bimport\("([^"]+)"\)/g) : [];
  for (const [, specifier = ""] of [...atStart, ...later]) {
    const next = specifier.startsWith(".") ? normalize(join(dirname(file), specifier)) : specifier;
    await loadedBy(next, isWithLazy, seen);
  }
  return seen;
}

function heavyIn(files: ReadonlySet<string>): readonly string[] {
  return [...files].filter((file) => /^(?:@grpc\/|yaml$|kubernetes\/)/.test(file));
}

Deno.test("no command loads gRPC, YAML or Kubernetes before it is called", async () => {
  const files = await loadedBy("main.ts", false);
  assert.ok(files.has("commander") && files.has("cli/commands/init.ts") && files.size > 40, `${files.size} files`);
  assert.deepEqual(heavyIn(files), []);
});

Deno.test("a command that does not keep env loads neither gRPC nor YAML when it is called", async () => {
  for (const { name, keeps } of COMMANDS) {
    const file = `cli/commands/${name.replaceAll(/[ -]/g, "_")}.ts`;
    const heavy = heavyIn(await loadedBy(file, true));
    if (!keeps.includes("env")) assert.deepEqual(heavy, [], file);
  }
  assert.notDeepEqual(heavyIn(await loadedBy("cli/commands/init.ts", true)), []);
});

Deno.test("a new command is one object: it is listed, reads, opens, drops its permissions, and acts", async () => {
  await using world = await TestWorld.create();
  const order: unknown[] = [];
  const toy: CliCommand<{ readonly name: string; readonly loud: boolean; readonly output: "json" | "text" }, string> = {
    name: "policy greet",
    group: "For operators:",
    description: "greet a policy",
    notes: "It is a toy.",
    examples: ["bootstrapper policy greet p --loud"],
    keeps: ["env", "read"],
    declare(command) {
      command.argument("<name>", "of the policy").option("--loud", "as it sounds").option("--mood <mood>", "its mood");
    },
    read: (parsed) => ({
      name: `${parsed.args[0]} ${optionalText(parsed, "mood") ?? "plain"}`,
      loud: isSet(parsed, "loud"),
      output: outputForm(parsed),
    }),
    alsoKeeps: ({ loud }) => loud ? ["sys"] : [],
    open({ name }) {
      order.push(["open", name, toyWorld.kept.length]);
      return Promise.resolve("key");
    },
    action({ name, loud, output }, context, opened) {
      order.push(["action", name, toyWorld.kept]);
      printResult(context, output, { name, loud, opened }, name);
      return Promise.resolve();
    },
  };
  await using toyWorld = await TestWorld.create({ commands: [...COMMANDS, toy] });
  assert.equal(await toyWorld.run("policy", "greet", "p", "--loud", "--output", "json"), 0, toyWorld.err);
  assert.deepEqual(JSON.parse(toyWorld.out), { name: "p plain", loud: true, opened: "key" });
  assert.deepEqual(order, [["open", "p plain", PERMISSIONS.length], ["action", "p plain", ["env", "read", "sys"]]]);
  assert.equal(await toyWorld.run("policy", "greet", "--help"), 0);
  assert.match(
    toyWorld.out,
    /greet a policy[\s\S]*--loud[\s\S]*--output[\s\S]*It is a toy\.\n\nExample:\n .*--loud\n$/,
  );
  assert.equal(await toyWorld.run("--help"), 0);
  assert.match(toyWorld.out, /\n {2}policy [^]*?greet/);
  assert.equal(await toyWorld.run("policy", "greet"), 2);
  assert.equal(await world.run("policy", "greet", "p"), 2);
});
