/**
 * The verdict on evidence from an AMD SEV-SNP machine.
 *
 * @module
 */
import { hex } from "../../../platform/bytes.ts";
import type { Checks } from "../../checks.ts";
import { createChecks } from "../../checks.ts";
import type { Collateral } from "../../collateral.ts";
import type { EvidenceClaims, ExplainingVerifier } from "../../evidence.ts";
import { AS_SHOWN } from "../../evidence.ts";
import { checkExpectation } from "../../expectation.ts";
import { amdAnchors } from "./amd_roots.ts";
import { appraise, type SnpExpectation } from "./appraisal.ts";
import { checkRevocation } from "./chain.ts";
import { decodePayload } from "./payload.ts";
import type { SnpPolicy } from "./policy.ts";

/**
 * Creates a verifier of SEV-SNP evidence.
 *
 * HOST_DATA must be D12. No register holds the lock: `lock` is ignored, and the claims say `showsNoLock`. The identity
 * is REPORT_ID, which a VM keeps until it ends.
 *
 * Its `verify` throws `refused/variant`. It throws `refused/snp-…` with the name of the check: `report-version`,
 * `signature-algorithm`, `signing-key`, `collateral`, `certificate-…` and `authority-…` of the chain, `critical-extension`,
 * `report-signature`, `product`, `processor`, `certificate-tcb`, `current-tcb`, `committed-tcb`, `lagging-tcb`,
 * `minimum-tcb`, `launch-tcb`, `hardware-id`, `provider`, `chip-id`, `banned-chip-id`, `vmpl`, `debug`,
 * `migration-agent`, `guest-policy`, `id-key`, `author-key`, `platform-info`, `reserved`, `measurement`, `host-data`,
 * `report-data`, `crl-…`, `certificate-revoked`. It throws `malformed/…` for bytes that are not evidence.
 *
 * @param policy The policy that the machine must meet.
 * @param collateral Where to look for certificates and revocation lists.
 * @param now The time of day.
 * @param anchors The trusted roots. By default AMD's own; tests pass others.
 */
export function createSnpVerifier(
  policy: SnpPolicy,
  collateral: Collateral,
  now: () => Date,
  anchors: SnpExpectation["anchors"] = amdAnchors(),
): ExplainingVerifier {
  return {
    variant: "snp",
    // Its chain to AMD's root was checked before. A report for another exchange may be one that anybody has read.
    vendorChecks: ["snp-report-signature", "snp-report-data"],
    async verify({ variant, payload }, statement, expectation, report) {
      checkExpectation(statement, expectation);
      const checks = createChecks(report);
      checks.expect("variant", variant, "snp", "The evidence is of another variant");
      // The bytes of another variant are no malformed ones of this: no later check would mean anything.
      if (variant !== "snp") checks.end();
      const hostData = expectation === AS_SHOWN ? AS_SHOWN : expectation.trust;
      const expected = { statement, hostData, policy, collateral, anchors, now: now() };
      return { claims: await verifySnp(payload, expected, checks) };
    },
  };
}

/**
 * Verifies SEV-SNP evidence, as described at {@linkcode createSnpVerifier}.
 *
 * @param payload The evidence's payload.
 * @param expected The values that the report is checked against.
 * @param checks Is told of each check.
 * @returns What the evidence proves.
 */
export async function verifySnp(
  payload: Uint8Array,
  expected: SnpExpectation,
  checks: Checks = createChecks(),
): Promise<EvidenceClaims> {
  const evidence = await checks.need("form", () => decodePayload(payload));
  const { report, chain, facts, remarks } = await appraise(evidence, expected, checks);
  const { collateral, now } = expected;
  const list = `${chain.anchor.product} ${chain.kind}`;
  await checks.run("snp-revocation", list, () => checkRevocation(chain, evidence.crl, collateral, now));
  checks.end();
  return {
    variant: "snp",
    identity: hex(report.reportId),
    fresh: true,
    showsNoLock: true,
    isEphemeral: true,
    facts,
    ...(remarks.length === 0 ? {} : { remarks }),
  };
}
