import assert from "node:assert/strict";
import { NO_COLLATERAL } from "../collateral.ts";
import { readPolicy } from "./policy.ts";
import { createVerifier } from "./policy_verifier.ts";

Deno.test("createVerifier() says whether the policy's kind knows a machine by its key, as a service then wants that key", () => {
  const isKey = (policy: string) =>
    createVerifier(readPolicy(policy, "the policy"), "node", NO_COLLATERAL, () => new Date()).identityIsKey;
  assert.equal(isKey("{version: 1, variant: none}"), true);
  const trust = `trust: {identities: ["${"ab".repeat(32)}"]}`;
  assert.equal(
    isKey(`{version: 1, variant: tpm, tpm: {ekType: ecc-p256, pcrs: {4: ["${"00".repeat(32)}"]}, ${trust}}}`),
    undefined,
  );
});
