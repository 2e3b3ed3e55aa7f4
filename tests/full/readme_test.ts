/** Checks that each folder of integration tests has a README.md that says what its tests show. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { repositoryRoot } from "../world.ts";

const FOLDER = join(repositoryRoot, "tests/integration");

for await (const { name, isDirectory } of Deno.readDir(FOLDER)) {
  if (!isDirectory) continue;
  Deno.test(`tests/integration/${name} has a README.md that says what it shows, and how a file of it is run`, async () => {
    const text = await Deno.readTextFile(join(FOLDER, name, "README.md"));
    // The text begins with a sentence, not with a heading.
    assert.match(text, /^[A-Z`][^\n]+\.\n/);
    const [, file] =
      new RegExp(`^\\$ deno test --allow-all (tests/integration/${name}/\\w+_test\\.ts)`, "m").exec(text) ?? [];
    assert.ok(file !== undefined, `no "deno test --allow-all tests/integration/${name}/…_test.ts"`);
    assert.ok((await Deno.stat(join(repositoryRoot, file))).isFile);
  });
}
