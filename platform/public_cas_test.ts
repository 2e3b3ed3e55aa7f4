import assert from "node:assert/strict";

const SCRIPT = `
import { systemClock } from "${import.meta.resolve("./clock.ts")}";
import { documentClient } from "${import.meta.resolve("./fetch_document.ts")}";
import { keepPublicCas } from "${import.meta.resolve("./public_cas.ts")}";
if (Deno.args[0] === "keep") keepPublicCas();
await Deno.permissions.revoke({ name: "sys" });
documentClient({ maximumBytes: 1, clock: systemClock })[Symbol.dispose]();
`;

Deno.test("keepPublicCas() lets a command fetch documents that has given up the permission sys", async () => {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, SCRIPT);
  const config = `--config=${new URL("../deno.json", import.meta.url).pathname}`;
  const run = async (...args: readonly string[]) => {
    const command = ["run", "--quiet", "--no-check", "--allow-all", config, file, ...args];
    return (await new Deno.Command(Deno.execPath(), { args: command, stderr: "null" }).output()).success;
  };
  assert.equal(await run("keep"), true);
  assert.equal(await run(), false);
  await Deno.remove(file);
});
