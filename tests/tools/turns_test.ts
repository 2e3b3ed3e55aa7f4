import assert from "node:assert/strict";
import { Turns } from "./turns.ts";

Deno.test("Turns.take() runs no more work at once than there are places, in the order of arrival", async () => {
  const turns = new Turns(2);
  const begun: number[] = [];
  const works = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
  const all = works.map(({ promise }, number) =>
    turns.take(async () => {
      begun.push(number);
      await promise;
      return number;
    })
  );
  assert.deepEqual(begun, [0, 1]);
  works[1]?.resolve();
  await all[1];
  assert.deepEqual(begun, [0, 1, 2]);
  for (const { resolve } of works) resolve();
  assert.deepEqual(await Promise.all(all), [0, 1, 2, 3]);
});

Deno.test("Turns.take() passes the turn on when the work fails", async () => {
  const turns = new Turns(1);
  const failing = turns.take(() => Promise.reject(new Error("disk on fire")));
  const after = turns.take(() => Promise.resolve("done"));
  await assert.rejects(failing, /disk on fire/);
  assert.equal(await after, "done");
  assert.equal(await turns.take(() => Promise.resolve("again")), "again");
});
