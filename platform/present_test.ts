import assert from "node:assert/strict";
import { present } from "./present.ts";

Deno.test("present() gives the key where there is a value, whatever value, and otherwise nothing", () => {
  for (const value of [0, "", false, null, 7]) assert.deepEqual({ ...present("key", value) }, { key: value });
  assert.equal("key" in present("key", undefined), false);
});
