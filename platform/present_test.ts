import assert from "node:assert/strict";
import { present } from "./present.ts";

Deno.test("present() returns the key for any value, and an empty object for undefined", () => {
  for (const value of [0, "", false, null, 7]) assert.deepEqual({ ...present("key", value) }, { key: value });
  assert.equal("key" in present("key", undefined), false);
});
