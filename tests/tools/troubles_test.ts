/** The page of troubles and the tests that show it name the same worlds, and its cells are compared as they are meant. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { isLikeCell, readTroubleRows, troubleRows } from "../integration/node/_world_table.ts";
import { repositoryRoot } from "../world.ts";

const TESTS = "tests/integration/node";

Deno.test("each row of docs/troubles.md is shown by a test, and stands there once", async () => {
  const folder = join(repositoryRoot, TESTS);
  const names = (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).filter((name) =>
    /_test\.ts$/.test(name)
  );
  const tests = await Promise.all(names.map((name) => Deno.readTextFile(join(folder, name))));
  const rows = await readTroubleRows();
  assert.ok(rows.length > 40, `${rows.length} rows`);
  const isShown = ({ world, moment }: { readonly world: string; readonly moment: string }) =>
    tests.some((text) => /\bassertRow\(/.test(text) && text.includes(`"${world}"`) && text.includes(`"${moment}"`));
  assert.deepEqual(rows.filter((row) => !isShown(row)).map(({ world, moment }) => `${world}, ${moment}`), []);
  const keys = rows.map(({ world, moment }) => `${world}, ${moment}`);
  assert.deepEqual(keys.filter((key, index) => keys.indexOf(key) !== index), []);
  assert.deepEqual(rows.filter(({ ends, status, heard }) => [ends, status, heard].includes("")), []);
});

Deno.test("troubleRows() reads the rows of all tables of five columns, and no heads", () => {
  const page =
    "| world | moment | a | b | c |\n| --- | --- | --- | --- | --- |\n| w | m | a \\| b | `c` | d |\n| x | y |\n";
  assert.deepEqual(troubleRows(page), [{ world: "w", moment: "m", heard: "a | b", status: "`c`", ends: "d" }]);
});

Deno.test("isLikeCell() takes … for anything, and nothing else for anything but itself", () => {
  assert.ok(isLikeCell("try … failed: a.b", "try 12 failed: a.b"));
  assert.ok(isLikeCell("run `x` again…", "run x again, please"));
  assert.ok(!isLikeCell("a.b", "a-b"));
  assert.ok(!isLikeCell("member", "member: no"));
});
