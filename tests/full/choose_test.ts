import assert from "node:assert/strict";
import { chooseParts, numberOf } from "./choose.ts";
import { groupOf, parts } from "./parts.ts";

const all = parts(1);
const commits = Array.from(
  { length: 100 },
  (_, index) => numberOf(`${index}`, "commit").toString(16).padStart(40, "0"),
);

Deno.test("chooseParts() takes one part of each group, the same whenever the commit is the same", () => {
  const groups = [...new Set(all.map(groupOf))];
  for (const commit of commits) {
    const chosen = chooseParts(commit, all);
    assert.deepEqual(chosen.map(groupOf), groups);
    assert.deepEqual(chooseParts(commit, all), chosen);
  }
});

Deno.test("chooseParts() leaves no part out for long", () => {
  const never = new Set(all.map(({ name }) => name));
  const unseen = commits.map((commit) => {
    for (const { name } of chooseParts(commit, all)) never.delete(name);
    return never.size;
  });
  assert.equal(unseen.at(-1), 0);
});
