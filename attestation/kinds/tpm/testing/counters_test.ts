import assert from "node:assert/strict";
import type { EvidenceClaims } from "../../../evidence.ts";
import { errorOf } from "../../../testing/evidence.ts";
import { checkCounters } from "./counters.ts";

const claims = (resetCount: number, restartCount: number, identity = "aa"): EvidenceClaims => ({
  variant: "tpm",
  identity,
  fresh: true,
  resetCount,
  restartCount,
});

Deno.test("checkCounters() distinguishes one run of a TPM from a later one", () => {
  assert.equal(checkCounters(claims(3, 1), claims(3, 1)), "same-run");
  assert.equal(checkCounters(claims(3, 1), claims(3, 2)), "later-run");
  assert.equal(checkCounters(claims(3, 5), claims(4, 0)), "later-run");
  const none: EvidenceClaims = { variant: "none", identity: "aa", fresh: true };
  assert.equal(checkCounters(none, none), "same-run");
});

Deno.test("checkCounters() refuses counters that went back, and another machine's", async () => {
  for (const later of [claims(2, 9), claims(3, 0)]) {
    assert.equal((await errorOf(() => checkCounters(claims(3, 1), later))).code, "refused/reset-count");
  }
  assert.equal((await errorOf(() => checkCounters(claims(3, 1), claims(3, 1, "bb")))).code, "refused/identity");
});
