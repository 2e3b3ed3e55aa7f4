import assert from "node:assert/strict";
import { schemaFiles } from "./json_schemas.ts";

Deno.test("deploy/schemas/ has the schemas of the readers: `deno task schemas` writes them", async () => {
  const folder = new URL("../../deploy/schemas/", import.meta.url);
  const files = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => `deploy/schemas/${name}`).toSorted();
  assert.deepEqual(files, [...schemaFiles().keys()].toSorted());
  for (const [path, text] of schemaFiles()) {
    assert.equal(await Deno.readTextFile(new URL(`../../${path}`, import.meta.url)), text, path);
  }
});
