import { refusal } from "../protocol/refusal.ts";
import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import { createChecks } from "./checks.ts";
import type { EvidenceCheck } from "./evidence.ts";
import { errorOf } from "./testing/evidence.ts";

Deno.test("createChecks() stops at the first refusal without a listener", async () => {
  const checks = createChecks();
  checks.expect("ak-template", "1", "1", "no");
  const { code, message, details } = await errorOf(() => checks.expectOneOf("ek-type", "3", ["1", "2"], "It is wrong"));
  assert.deepEqual([code, message, details], ["refused/ek-type", "It is wrong", {
    check: "ek-type",
    expected: "1, 2",
    seen: "3",
  }]);
  assert.equal(
    (await errorOf(() => checks.run("c", "", () => Promise.reject(refusal("ek-issuer", "m", "e", "s"))))).code,
    "refused/ek-issuer",
  );
  const failing = () => {
    throw new BootstrapError("malformed/der", "m");
  };
  assert.equal((await errorOf(() => checks.need("e", failing))).code, "malformed/der");
  assert.equal(await createChecks().need("f", () => 7), 7);
  createChecks().end();
});

Deno.test("createChecks() reports every check and throws the first refusal at the end", async () => {
  const reported: EvidenceCheck[] = [];
  const checks = createChecks((check) => reported.push(check));
  checks.expect("ak-template", "1", "1", "no");
  checks.expect("ek-type", "2", "1", "wrong");
  await checks.run("c", "x", () => Promise.reject(refusal("ek-issuer", "m", "e", "s")));
  await checks.run("d", "y", () => Promise.resolve());
  assert.deepEqual(reported.map(({ check, passed, seen }) => [check, passed, seen]), [
    ["ak-template", true, "1"],
    ["ek-type", false, "2"],
    ["ek-issuer", false, "s"],
    ["d", true, "y"],
  ]);
  assert.equal((await errorOf(() => checks.end())).code, "refused/ek-type");
  const failing = () => {
    throw new BootstrapError("malformed/der", "m");
  };
  assert.equal((await errorOf(() => checks.need("e", failing))).code, "refused/ek-type");
  assert.equal(reported.at(-1)?.check, "e");
});
