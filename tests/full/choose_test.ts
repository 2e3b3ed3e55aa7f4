import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chooseParts } from "./choose.ts";
import { groupOf, parts } from "./parts.ts";

const CORES = 64;
const all = parts(1);
const commits = Array.from({ length: 60 }, (_, index) => createHash("sha1").update(`${index}`).digest("hex"));

Deno.test("chooseParts() takes one part of each group, and always the same parts for one commit", () => {
  const groups = new Set(all.map(groupOf));
  for (const commit of commits) {
    const chosen = chooseParts(commit, all, CORES);
    assert.equal(chosen.length, groups.size);
    assert.deepEqual(new Set(chosen.map(groupOf)), groups);
    assert.deepEqual(chooseParts(commit, all, CORES), chosen);
  }
});

Deno.test("chooseParts() has chosen every part within 30 commits, and every group first", () => {
  const some = commits.slice(0, 30).map((commit) => chooseParts(commit, all, CORES));
  assert.deepEqual(new Set(some.flat().map(({ name }) => name)), new Set(all.map(({ name }) => name)));
  assert.deepEqual(
    new Set(some.flatMap(([first]) => first === undefined ? [] : groupOf(first))),
    new Set(all.map(groupOf)),
  );
});

Deno.test("chooseParts() never chooses a part that needs more cores than there are", () => {
  const chosen = commits.flatMap((commit) => chooseParts(commit, all, 2));
  assert.deepEqual(chosen.filter(({ cores = 1 }) => cores > 2), []);
  assert.ok(all.some(({ cores = 1 }) => cores > 2));
});
