/** No test file is left out: each is run by one of the tasks, or by a part of `test:full`. */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import { repositoryRoot } from "../world.ts";
import { parts } from "./parts.ts";

const tasksSchema = v.object({ tasks: v.record(v.string(), v.object({ command: v.string() })) });

/** The files that a task leaves out of a folder. */
async function leftOutBy(task: string): Promise<string[]> {
  const { tasks } = v.parse(tasksSchema, JSON.parse(await Deno.readTextFile(join(repositoryRoot, "deno.json"))));
  const [, files = ""] = /--ignore=(\S+)/.exec(tasks[task]?.command ?? "") ?? [];
  return files.split(",").toSorted();
}

/** The test files that parts of `test:full` run in a folder. */
function filesOfParts(folder: string): string[] {
  const files = parts(1).flatMap(({ args }) =>
    args.filter((text) => text.startsWith(`${folder}/`) && text.endsWith("_test.ts"))
  );
  return [...new Set(files)].toSorted();
}

for (const [task, folder] of [["test:integration", "tests/integration"], ["test:vm", "tests/e2e"]] as const) {
  Deno.test(`what "deno task ${task}" leaves out, and nothing else, is part of test:full`, async () => {
    assert.deepEqual(await leftOutBy(task), filesOfParts(folder));
    for (const file of filesOfParts(folder)) assert.ok((await Deno.stat(join(repositoryRoot, file))).isFile);
  });
}

Deno.test("every slice of a list is a part", () => {
  const slices = parts(1).flatMap(({ args }) => args[args.indexOf("--slice") + 1] ?? []).filter((text) =>
    text.includes("/")
  );
  assert.ok(slices.length > 0);
  const counts = Map.groupBy(parts(1), ({ name }) => name.replace(/^(\w+)\/\d+-of-(\d+)$/, "$1 $2"));
  for (const [key, members] of counts) {
    const [, of] = key.split(" ");
    if (of !== undefined) assert.equal(members.length, Number(of), key);
  }
});
