/**
 * A verifier for the evidence of a software AMD machine, and the codes with which it refuses.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Collateral } from "../../../collateral.ts";
import type { Expectation, ExplainingVerifier } from "../../../evidence.ts";
import { FRESH } from "../../../evidence.ts";
import { errorOf } from "../../../testing/evidence.ts";
import type { SnpPolicy } from "../policy.ts";
import { createSoftwareAmd, HOST_DATA, type Lies, NOW, policyFor, type SoftwareAmd, STATEMENT } from "./snp.ts";
import { createSnpVerifier } from "../verifier.ts";

/** Where 32 other bytes are expected. */
export const zero = new Uint8Array(32);
export const expectation: Expectation = { trust: [HOST_DATA], lock: [FRESH], identity: "1d".repeat(32) };
export const amd = await createSoftwareAmd();
/** Another vendor, of the same names. */
export const other = await createSoftwareAmd();
/** What the vendor gives for its machine. */
export const collateral = await amd.collateral();

/** Returns a verifier that believes a software vendor; its policy accepts that vendor's valid evidence. */
export function verifierFor(
  from: SoftwareAmd = amd,
  policy: SnpPolicy = policyFor(),
  where: Collateral = collateral,
  now = NOW,
): ExplainingVerifier {
  return createSnpVerifier(policy, where, () => now, from.anchors);
}

/** Verifies evidence that differs from a valid one, and returns the code of the refusal, which must name a check. */
export async function codeOf(lies: Lies, policy?: SnpPolicy, where?: Collateral, now?: Date): Promise<string> {
  const evidence = await amd.evidence(lies);
  const error = await errorOf(() => verifierFor(amd, policy, where, now).verify(evidence, STATEMENT, expectation));
  if (error.code.startsWith("refused/")) {
    assert.ok(error.details["check"] && error.details["expected"] !== undefined && error.details["seen"], error.code);
  }
  return error.code;
}
