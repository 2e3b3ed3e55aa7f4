import assert from "node:assert/strict";
import { backoffMs } from "./_backoff.ts";

Deno.test("backoffMs() looks for a missing service about twice a second at first, and every few seconds later", () => {
  for (let attempts = 1; attempts <= 5; attempts++) assert.ok(backoffMs("unreachable", attempts, 1) <= 500);
  assert.equal(backoffMs("unreachable", 10_000, 0.5), 2_000);
  assert.ok(backoffMs("unreachable", 10_000, 1) < 3_000);
});

Deno.test("backoffMs() grows after refusals, and is never in step", () => {
  const middle = (attempts: number) => backoffMs("refused", attempts, 0.5);
  for (let attempts = 1; attempts < 20; attempts++) assert.ok(middle(attempts) <= middle(attempts + 1));
  assert.equal(middle(10_000), 30_000);
  assert.ok(backoffMs("refused", 1, 0) < backoffMs("refused", 1, 1));
});
