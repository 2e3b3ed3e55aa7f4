/** The manual pages are correct in the eyes of the programs that show them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describeCommands } from "../../../cli/command_description.ts";
import { COMMANDS } from "../../../cli/commands.ts";
import { TestWorld } from "../../../cli/testing/command_line.ts";

const env = { LC_ALL: "C.UTF-8", MANWIDTH: "100" };

async function output(
  program: string,
  ...args: readonly string[]
): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args], env }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

Deno.test("each manual page is free of warnings, and shows the command's options and examples", async () => {
  await using world = await TestWorld.create();
  const folder = join(world.root, "man1");
  assert.equal(await world.run("man", folder, "--output", "json"), 0, world.err);
  const pages: readonly string[] = JSON.parse(world.out).pages;
  const commands = describeCommands(COMMANDS);
  assert.deepEqual(
    pages.toSorted(),
    ["bootstrapper.1", ...commands.map(({ name }) => `bootstrapper-${name.replaceAll(" ", "-")}.1`)].toSorted(),
  );
  const paths = pages.map((page) => join(folder, page));
  assert.deepEqual(await output("mandoc", "-T", "lint", "-W", "warning", ...paths), { code: 0, out: "", err: "" });
  for (const { name, options, examples, description } of commands) {
    const page = await output(
      "man",
      "--warnings",
      "--no-hyphenation",
      "-l",
      join(folder, `bootstrapper-${name.replaceAll(" ", "-")}.1`),
    );
    assert.deepEqual([page.code, page.err], [0, ""], name);
    const words = page.out.replaceAll(/\s+/g, " ");
    assert.ok(words.includes(description), words);
    for (const { long } of options) assert.ok(words.includes(` ${long} `), `${name} ${long}`);
    for (const example of examples) assert.ok(words.includes(example.replaceAll(/\s+/g, " ")), words);
  }
  const list = (await output("man", "--warnings", "--no-hyphenation", "-l", join(folder, "bootstrapper.1"))).out
    .replaceAll(/\s+/g, " ");
  for (const { name, description } of commands) assert.ok(list.includes(` ${name} ${description}`), name);
});
