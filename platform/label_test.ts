import assert from "node:assert/strict";
import { isLabel } from "./label.ts";

Deno.test("isLabel() takes up to 63 of a-z, 0-9 and -, and no - at either end", () => {
  for (const text of ["a", "0", "node-1", "a".repeat(63)]) assert.ok(isLabel(text), text);
  for (const text of ["", "-a", "a-", "A", "a.b", "a_b", "ä", "a\n", "a".repeat(64)]) assert.ok(!isLabel(text), text);
});
