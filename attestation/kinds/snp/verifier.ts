/**
 * The verdict on evidence of an AMD SEV-SNP machine.
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
 * A verifier of SEV-SNP evidence.
 *
 * HOST_DATA is D12. There is no register for the lock: `lock` is not looked at, and the claims say `showsNoLock`. The identity is
 * REPORT_ID, which a VM has until it ends.
 *
 * Its `verify` throws `refused/variant`; `refused/snp-…` with the check's name: `signature-algorithm`, `signing-key`,
 * `collateral`, `certificate-…` and `authority-…` of the chain, `critical-extension`, `report-signature`, `product`,
 * `processor`, `certificate-tcb`, `current-tcb`, `committed-tcb`, `lagging-tcb`, `minimum-tcb`, `launch-tcb`, `hardware-id`,
 * `provider`, `chip-id`, `banned-chip-id`, `vmpl`, `debug`, `migration-agent`, `guest-policy`, `id-key`, `author-key`,
 * `platform-info`, `measurement`, `host-data`, `report-data`, `crl-…`, `certificate-revoked`; and `malformed/…` for bytes
 * that are no evidence.
 *
 * @param policy What the machine must be.
 * @param collateral Where to look for certificates and revocation lists.
 * @param now The time of day.
 * @param anchors What is trusted; AMD's own roots unless a test says otherwise.
 */
export function createSnpVerifier(
  policy: SnpPolicy,
  collateral: Collateral,
  now: () => Date,
  anchors: SnpExpectation["anchors"] = amdAnchors(),
): ExplainingVerifier {
  return {
    variant: "snp",
    async verify({ variant, payload }, statement, expectation, report) {
      checkExpectation(statement, expectation);
      const checks = createChecks(report);
      checks.expect("variant", variant, "snp", "The evidence is of another variant");
      const hostData = expectation === AS_SHOWN ? AS_SHOWN : expectation.trust;
      const expected = { statement, hostData, policy, collateral, anchors, now: now() };
      return { claims: await verifySnp(payload, expected, checks) };
    },
  };
}

/**
 * Verifies SEV-SNP evidence, as {@linkcode createSnpVerifier} says.
 *
 * @param payload The evidence's payload.
 * @param expected What it is held against.
 * @param checks Hears of each check.
 * @returns What it proves.
 */
export async function verifySnp(
  payload: Uint8Array,
  expected: SnpExpectation,
  checks: Checks = createChecks(),
): Promise<EvidenceClaims> {
  const evidence = await checks.need("form", () => decodePayload(payload));
  const { report, chain, facts } = await appraise(evidence, expected, checks);
  const { collateral, now } = expected;
  const list = `${chain.anchor.product} ${chain.kind}`;
  await checks.run("snp-revocation", list, () => checkRevocation(chain, evidence.crl, collateral, now));
  checks.end();
  return { variant: "snp", identity: hex(report.reportId), fresh: true, showsNoLock: true, isEphemeral: true, facts };
}
