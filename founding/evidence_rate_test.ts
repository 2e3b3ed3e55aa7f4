import assert from "node:assert/strict";
import { errorOf } from "../attestation/testing/evidence.ts";
import { EVIDENCE_INTERVAL_MS, EvidenceRate } from "./evidence_rate.ts";

Deno.test("EvidenceRate lets evidence be made for one peer once in ten seconds", async () => {
  let nowMs = 0;
  const rate = new EvidenceRate({ monotonicMs: () => nowMs });
  assert.equal(rate.waitMs("a"), 0);
  rate.take("a");
  rate.take("b");
  nowMs = 1_500;
  const error = await errorOf(() => rate.take("a"));
  assert.deepEqual([error.code, error.retryAfterSeconds, error.retriable], ["unavailable/founder-busy", 9, true]);
  assert.equal(rate.waitMs("a"), 8_500);
  nowMs = EVIDENCE_INTERVAL_MS;
  rate.take("a");
});
