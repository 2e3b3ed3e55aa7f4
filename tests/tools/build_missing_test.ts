import assert from "node:assert/strict";
import { buildMissing } from "./build_missing.ts";
import type { Store } from "./store.ts";

/** Makes one part that has an estimate. */
const make = (store: Store) =>
  store.cached(
    "go-cni",
    { test: true },
    ({ folder, turn }) => turn("all-cores", async () => await Deno.writeTextFile(`${folder}/made`, "")),
  );

Deno.test("buildMissing() reports what it builds and its progress; when nothing is missing it reports only that", async () => {
  await inEmptyCache(async (cache) => {
    let written = "";
    const output = { write: (text: string) => void (written += text), columns: () => undefined, cache };
    const folder = await buildMissing(make, output);
    await Deno.stat(`${folder}/made`);
    const [plan, part, line, done] = written.split("\n");
    assert.match(plan ?? "", new RegExp(`^Builds the missing parts, once, into ${cache}: about .* on this machine`));
    assert.match(part ?? "", /^ {2}CNI plugins {2}\d+ (s|min)$/);
    assert.match(line ?? "", /… 0 of 1 built, about .* left; building CNI plugins$/);
    assert.match(done ?? "", /✓ CNI plugins in \d+ s$/);
    written = "";
    assert.equal(await buildMissing(make, output), folder);
    assert.equal(written, `Everything is built already, in ${cache}\n`);
  });
});

Deno.test("buildMissing() redraws its line on a terminal, below the lines that stay", async () => {
  await inEmptyCache(async (cache) => {
    let written = "";
    await buildMissing(make, { write: (text) => void (written += text), columns: () => 30, cache });
    const [, , drawn = ""] = written.split("\n");
    assert.deepEqual(drawn.split("\r\u001b[K").map((line) => line.slice(0, 10)), ["", "   0 s … 0", "   0 s ✓ C"]);
    assert(drawn.split("\r\u001b[K").slice(0, 2).every((line) => line.length < 30));
  });
});

async function inEmptyCache(test: (cache: string) => Promise<void>): Promise<void> {
  const cache = await Deno.makeTempDir({ prefix: "bootstrapper-missing-" });
  try {
    await test(cache);
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}
