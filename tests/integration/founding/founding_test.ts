/** Founders with a real etcd, and stand-ins for all else: they become one cluster, whatever is killed. */
import assert from "node:assert/strict";
import { Founders } from "./_founders.ts";

for (const size of [1, 2, 3, 5]) {
  Deno.test(`${size} founders become one cluster, and leave`, async () => {
    await using founders = await Founders.create(size);
    founders.startAll();
    await founders.settled();
    const serving = (await founders.history()).filter((line) => line.includes(" serves "));
    assert.equal(serving.length, 1);
    for (const machine of founders.machines) await machine.event("founding-ended", ({ kind }) => kind === "left");
    for (const { folder } of founders.machines) {
      const left = (await Array.fromAsync(Deno.readDir(`${folder}/founding`))).map(({ name }) => name);
      assert.deepEqual(left.filter((name) => name !== "complete"), []);
    }
  });
}
