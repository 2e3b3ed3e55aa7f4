import assert from "node:assert/strict";
import { schemaFiles } from "./json_schemas.ts";

Deno.test("deploy/schemas/ has the schemas of the readers: `deno task schemas` writes them", async () => {
  const expected = await schemaFiles();
  const folder = new URL("../../deploy/schemas/", import.meta.url);
  const files = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => `deploy/schemas/${name}`).toSorted();
  assert.deepEqual(files, [...expected.keys()].toSorted());
  for (const [path, text] of expected) {
    assert.equal(await Deno.readTextFile(new URL(`../../${path}`, import.meta.url)), text, path);
  }
});
