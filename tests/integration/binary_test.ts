/** The compiled binary runs what is inside it, and nothing else. */
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { systemCommands } from "../../platform/command.ts";
import { compile } from "../tools/compile.ts";

const DEADLINE_MS = 60_000;
const binary = await compile();

Deno.test("the binary reads no code cache from the folder for temporary files, and writes none", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // Who opens this file to read it waits for ever.
    const planted = `deno-compile-${basename(binary)}.cache`;
    const made = await new Deno.Command("mkfifo", { args: [join(folder, planted)] }).output();
    assert.ok(made.success);
    const { code } = await systemCommands.run([binary, "version"], {
      env: { TMPDIR: folder },
      deadlineMs: DEADLINE_MS,
    });
    assert.equal(code, 0);
    assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), [planted]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
