import assert from "node:assert/strict";
import { errorOf } from "../attestation/testing/evidence.ts";
import type { FoundTrust } from "../proto/gen/bootstrapper.ts";
import type { FounderTrust } from "./trust_comparison.ts";
import { compareTrust, shownTrust } from "./trust_comparison.ts";

const fill = (value: number, length = 32) => new Uint8Array(length).fill(value);
const own: FounderTrust = {
  clusterName: "demo",
  clusterId: new Uint8Array(),
  operatorKeys: [fill(2, 44), fill(1, 44)],
  variants: ["tpm", "snp"],
  switches: [],
  founding: { size: 3, policyDigest: fill(3), tokenKey: fill(4, 44) },
};

Deno.test("compareTrust() takes the own trust part, whatever the order of its lists", () => {
  compareTrust(own, shownTrust(own));
  const other = { ...own, operatorKeys: own.operatorKeys.toReversed(), variants: own.variants.toReversed() };
  compareTrust(own, shownTrust(other));
});

const differences: readonly (readonly [field: string, change: Partial<FoundTrust>, seen: string])[] = [
  ["trust.clusterName", { clusterName: "other" }, "other"],
  ["trust.clusterId", { clusterId: fill(1) }, "01".repeat(32)],
  ["evidence.variant", { variants: ["tpm"] }, "tpm"],
  ["the switches that weaken a check", { switches: ["allowInsecure"] }, "allowInsecure"],
  ["trust.operatorKeys", { operatorKeys: [] }, "nothing"],
  ["trust.founding.size", { size: 5 }, "5"],
  ["trust.founding.policy", { policyDigest: new Uint8Array() }, "nothing"],
  ["trust.founding.tokenKey", { tokenKey: fill(0, 3) }, "AAAA"],
];
for (const [field, change, seen] of differences) {
  Deno.test(`compareTrust() names ${field} where it differs, with both values`, async () => {
    const error = await errorOf(() => compareTrust(own, { ...shownTrust(own), ...change }));
    assert.equal(error.code, "refused/founding-trust");
    assert.equal(error.details["field"], field);
    assert.equal(error.details["seen"], seen);
    assert.ok(error.message.includes(field) && error.message.includes(seen), error.message);
  });
}

Deno.test("compareTrust() names the size as it is on both sides", async () => {
  const error = await errorOf(() => compareTrust(own, { ...shownTrust(own), size: 4 }));
  assert.deepEqual([error.details["expected"], error.details["seen"]], ["3", "4"]);
});

Deno.test("compareTrust() refuses a trust part that is missing or too large, and shows no control characters", async () => {
  const error = await errorOf(() => compareTrust(own, undefined));
  assert.equal(error.code, "malformed/founder-message");
  for (const change of [{ clusterName: "a".repeat(513) }, { variants: [...Array(65)].map(() => "a") }]) {
    const { code } = await errorOf(() => compareTrust(own, { ...shownTrust(own), ...change }));
    assert.equal(code, "malformed/founder-message");
  }
  const { message } = await errorOf(() => compareTrust(own, { ...shownTrust(own), clusterName: "a\u001b[2J" }));
  assert.doesNotMatch(message, /\p{Cc}/u);
});
