import assert from "node:assert/strict";
import { Recent } from "./_recent.ts";

Deno.test("Recent forgets what is too old", () => {
  const recent = new Recent<number>(100);
  recent.set("a", 1, 0);
  recent.set("b", 2, 50);
  assert.deepEqual([recent.get("a", 99), recent.get("a", 100), recent.get("b", 100)], [1, undefined, 2]);
  recent.set("a", 3, 120);
  assert.equal(recent.get("a", 219), 3, "a new note makes a key young again");
  recent.delete("a");
  assert.equal(recent.get("a", 120), undefined);
});

Deno.test("Recent forgets the oldest of too many keys", () => {
  const recent = new Recent<true>(100);
  for (let index = 0; index < 10_000; index++) recent.set(`${index}`, true, 0);
  assert.deepEqual([recent.get("0", 1), recent.get("9999", 1)], [undefined, true]);
});
