/** What there is one of, so that its rules hold everywhere. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { repositoryRoot } from "../world.ts";
import { readImports } from "./imports.ts";

/** What only one file, and its tests, may do, by what its text shows. */
const ONLY: readonly (readonly [shown: RegExp, only: string, instead: string])[] = [
  [/addEventListener\(\s*["']abort["']/, "platform/abortable.ts", "onAbort() or abortable()"],
  [/\.(?:getU?int|getBigU?int|getFloat)\d+\(/, "platform/byte_reader.ts", "ByteReader"],
  [/JSON\.parse\(/, "platform/json.ts", "readJson()"],
];

/** The files of the programs: not tests, nor what only they use, nor what is generated. */
function isProgram(file: string): boolean {
  return !/_test\.ts$|(?:^|\/)testing\/|^tests\/|^proto\/|^deploy\//.test(file);
}

/** Listeners that stay are as bad in tests and their harness. */
function isLookedAt(file: string, only: string): boolean {
  return isProgram(file) || (only === "platform/abortable.ts" && file !== "tests/layout/one_of_each_test.ts");
}

Deno.test("signals, untrusted bytes and JSON are each read in one place", async () => {
  const wrong: string[] = [];
  const seen = new Set<string>();
  for (const file of (await readImports()).keys()) {
    const text = await Deno.readTextFile(join(repositoryRoot, file));
    for (const [shown, only, instead] of ONLY) {
      if (!isLookedAt(file, only) || !shown.test(text)) continue;
      if (file === only) seen.add(file);
      else wrong.push(`${file}: use ${instead}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.deepEqual([...seen].toSorted(), ONLY.map(([, only]) => only).toSorted());
});
