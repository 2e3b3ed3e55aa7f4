import assert from "node:assert/strict";
import { Recent } from "./recent.ts";

Deno.test("Recent forgets what is too old", () => {
  const recent = new Recent<number>({ ageMs: 100, maximum: 9 });
  recent.set("a", 1, 0);
  recent.set("b", 2, 50);
  assert.deepEqual([recent.get("a", 99), recent.get("a", 100), recent.get("b", 100)], [1, undefined, 2]);
  recent.set("a", 3, 120);
  assert.equal(recent.get("a", 219), 3, "a new note makes a key young again");
  recent.delete("a");
  assert.equal(recent.get("a", 120), undefined);
});

Deno.test("Recent forgets the oldest of too many keys", () => {
  const recent = new Recent<true>({ ageMs: 100, maximum: 3 });
  for (let index = 0; index < 5; index++) recent.set(`${index}`, true, 0);
  const known = ["0", "1", "2", "3", "4"].map((key) => recent.get(key, 1));
  assert.deepEqual(known, [undefined, undefined, true, true, true]);
});
