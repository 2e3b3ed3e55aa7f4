import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import { checkAdoptable } from "./adoption.ts";

const problem = (check: string) => ({ check, message: `${check} is wrong`, expected: "one", seen: "another" });

Deno.test("checkAdoptable() names all problems of a plan, and the first one in its sentence", () => {
  checkAdoptable({ clusterName: "demo", problems: [] });
  const problems = [problem("etcd"), problem("api-port")];
  assert.throws(() => checkAdoptable({ clusterName: "demo", problems }), (error: unknown) => {
    assert.ok(error instanceof BootstrapError);
    assert.deepEqual([error.code, error.retriable], ["precondition/adoption", false]);
    assert.deepEqual(error.checks, problems);
    assert.equal(error.message, "The cluster demo cannot be adopted: etcd is wrong, and 1 more");
    return true;
  });
});
