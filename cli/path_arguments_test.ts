import { Command } from "commander";
import assert from "node:assert/strict";
import { COMMANDS } from "./commands.ts";
import { TestWorld } from "./testing/command_line.ts";

const URL = "https://me:secret@docs.example/x";

Deno.test("every option and argument for a file or a folder refuses an empty text and an address, and names neither user nor password", async () => {
  const opened: string[] = [];
  const commands = COMMANDS.map((command) => ({
    ...command,
    open: () => Promise.resolve(void opened.push(command.name)),
    action: () => Promise.resolve(),
  }));
  await using world = await TestWorld.create({ commands });
  let tried = 0;
  for (const { name, declare, isHidden } of COMMANDS) {
    if (isHidden === true) continue;
    const declared = new Command();
    declare?.(declared);
    const needed = [
      ...declared.registeredArguments.flatMap(({ required }) => required ? ["some"] : []),
      ...declared.options.flatMap(({ mandatory, long }) => mandatory ? [String(long), "some"] : []),
    ];
    for (const { flags, long } of declared.options) {
      const [, kind] = /<(file|folder|path)\b/.exec(flags) ?? [];
      if (kind === undefined) continue;
      assert.equal(await world.run(...name.split(" "), ...needed, String(long), URL), 2, `${name} ${long}`);
      const expected = kind === "path" ? "file" : kind;
      const said = `Cannot use ${long} "https://docs.example/x" as it is an address, and a ${expected} is expected`;
      assert.ok(world.err.includes(said), world.err);
      assert.equal(await world.run(...name.split(" "), ...needed, String(long), ""), 2, `${name} ${long}`);
      assert.ok(world.err.includes(`Cannot use ${long} "" as it is empty, and a ${expected} is expected`), world.err);
      tried++;
    }
  }
  assert.ok(tried > 30, String(tried));
  const policy = ["--policy", "p"];
  const calls = [
    ["policy", "make", URL],
    ["policy", "collateral", "fetch", URL],
    ["policy", "explain", URL, ...policy],
    ["verify", URL, ...policy],
  ];
  for (const call of calls) {
    assert.equal(await world.run(...call), 2, world.err);
    assert.match(
      world.err,
      /^Error: Cannot use (?:evidence-)?files? ".* a file is expected\.\n[^]*\nNext: Name a file of this/,
    );
  }
  assert.deepEqual(opened, []);
});

Deno.test("an address instead of a folder is answered with the option that takes one, and a folder instead of an address likewise", async () => {
  await using world = await TestWorld.create();
  assert.equal(await world.run("policy", "make", "a.json", "--collateral", URL), 2);
  assert.match(
    world.err,
    /\nNext: Name a folder of this machine by its path; --collateral-cache takes an address\.\n$/,
  );
  assert.equal(await world.run("policy", "make", "--collateral-cache", "/srv/collateral"), 2);
  assert.match(
    world.err,
    /usage\/collateral-url\n[^]*Next: Write it as https:\/\/HOST\/PATH\. A folder is named with --collateral,/,
  );
});
