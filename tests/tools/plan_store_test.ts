import assert from "node:assert/strict";
import { join } from "node:path";
import { cached } from "./cached.ts";
import { PlanStore } from "./plan_store.ts";

Deno.test("PlanStore names what is missing, and returns the folders that a build would return", async () => {
  await inEmptyCache(async (cache) => {
    const built = await cached("one", { version: 1 }, () => Promise.resolve(), cache);
    const plan = new PlanStore(cache);
    assert.equal(await plan.cached("one", { version: 1 }), built);
    assert.deepEqual(plan.missing, []);
    const folder = await plan.cached("two", { input: built });
    assert.deepEqual(plan.missing, ["two"]);
    await assert.rejects(Deno.stat(folder), Deno.errors.NotFound);
    assert.equal(await cached("two", { input: built }, () => Promise.resolve(), cache), folder);
  });
});

Deno.test("PlanStore counts a part as missing when its recipe needs a file that is missing", async () => {
  await inEmptyCache(async (cache) => {
    const plan = new PlanStore(cache);
    const binary = join(await plan.cached("binary", 1), "binary");
    await plan.cached("image", { binary: await plan.digest(binary) });
    assert.deepEqual(plan.missing, ["binary", "image"]);
  });
});

async function inEmptyCache(test: (cache: string) => Promise<void>): Promise<void> {
  const cache = await Deno.makeTempDir({ prefix: "bootstrapper-plan-" });
  try {
    await test(cache);
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}
