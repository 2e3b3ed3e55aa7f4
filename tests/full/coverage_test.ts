/** Checks that no test file is left out: each is run by one of the tasks, or by a part of `test:full`. */
import assert from "node:assert/strict";
import { glob } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { TARGETS } from "../fuzz/targets.ts";
import { SEARCHES } from "../protocol/searches.ts";
import { MODELS, VARIANTS } from "../protocol/variants.ts";
import { repositoryRoot } from "../world.ts";
import { parts } from "./parts.ts";

const tasksSchema = v.object({ tasks: v.record(v.string(), v.object({ command: v.string() })) });

/** The files of a folder that a task leaves out. */
async function leftOutBy(task: string): Promise<string[]> {
  const { tasks } = v.parse(tasksSchema, JSON.parse(await Deno.readTextFile(join(repositoryRoot, "deno.json"))));
  const [, files = ""] = /--ignore=(\S+)/.exec(tasks[task]?.command ?? "") ?? [];
  return files.split(",").toSorted();
}

/** The test files of a folder that parts of `test:full` run. */
function filesOfParts(folder: string): string[] {
  const files = parts(1).flatMap(({ args }) =>
    args.filter((text) => text.startsWith(`${folder}/`) && text.endsWith("_test.ts"))
  );
  return [...new Set(files)].toSorted();
}

for (const [task, folder] of [["test:integration", "tests/integration"], ["test:vm", "tests/e2e"]] as const) {
  Deno.test(`what "deno task ${task}" leaves out, and nothing else, is part of test:full`, async () => {
    const rule = `--ignore of "${task}" in deno.json and the files in tests/full/parts.ts must be the same`;
    assert.deepEqual(await leftOutBy(task), filesOfParts(folder), rule);
    for (const file of filesOfParts(folder)) assert.ok((await Deno.stat(join(repositoryRoot, file))).isFile);
  });
}

Deno.test("every file of flips is part of test:full", async () => {
  const named = parts(1).filter(({ name }) => name.startsWith("flips/")).flatMap(({ args }) =>
    args.filter((text) => text.endsWith("_flips_test.ts"))
  );
  const found = await Array.fromAsync(glob("**/*_flips_test.ts", { cwd: repositoryRoot }));
  assert.deepEqual([...new Set(named)].toSorted(), found.toSorted());
});

/** The values that parts receive with an option, or as names. */
function given(prefix: string, option?: string): string[] {
  return parts(1).filter(({ name }) => name.startsWith(prefix)).flatMap(({ args }) =>
    option === undefined
      ? args.slice(args.indexOf("--jobs") + 2)
      : args.flatMap((text, index) => args[index - 1] === option ? text : [])
  );
}

Deno.test("the parts together have each slice, each variant and search of the protocol and each fuzz target once", () => {
  for (const group of ["crash/", "flips/"]) {
    const slices = given(group, "--slice");
    assert.deepEqual(slices, slices.map((_, index) => `${index + 1}/${slices.length}`));
    assert.notEqual(slices.length, 0);
  }
  assert.deepEqual(given("protocol/").toSorted(), [...VARIANTS, ...SEARCHES].map(({ name }) => name).toSorted());
  for (const model of MODELS) assert.ok(VARIANTS.some((variant) => variant.model === model), model.name);
  assert.deepEqual(given("fuzz/", "--target").toSorted(), TARGETS.map(({ name }) => name).toSorted());
  const names = parts(1).map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});
