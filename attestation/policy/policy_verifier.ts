/**
 * Verifiers by policy. What a node itself loads does not need them.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import { createChecks } from "../checks.ts";
import type { Collateral } from "../collateral.ts";
import { combineVerifiers } from "../combined.ts";
import type { EvidenceClaims, EvidenceVariant, ExplainingVerifier } from "../evidence.ts";
import { createInsecureVerifier } from "../kinds/none/verifier.ts";
import type { PeerKind, Policy } from "./policy.ts";
import { createSnpVerifier } from "../kinds/snp/verifier.ts";
import { createTdxVerifier } from "../kinds/tdx/verifier.ts";
import { createTpmVerifier } from "../kinds/tpm/verifier.ts";
import type { VendorAnchors } from "../vendor_anchors.ts";

/**
 * The verifier of what a policy wants of a kind of peer.
 *
 * Its `verify` throws what the verifiers of the kinds do, and `refused/identity-banned`.
 *
 * @param policy The policy.
 * @param peer Whose evidence it is.
 * @param collateral Where to look for what vendors sign and the evidence does not bring.
 * @param now The time of day, for certificates.
 * @param anchors What is trusted.
 */
export function createVerifier(
  policy: Policy,
  peer: PeerKind,
  collateral: Collateral,
  now: () => Date,
  anchors: VendorAnchors = {},
): ExplainingVerifier {
  const verifiers = policy.required[peer].map((variant) => verifierOf(policy, variant, collateral, now, anchors));
  const verifier = combineVerifiers(verifiers);
  return {
    variant: verifier.variant,
    async verify(evidence, statement, expectation, report) {
      const verified = await verifier.verify(evidence, statement, expectation, report);
      const checks = createChecks(report);
      const banned = identitiesOf(verified.claims).find((identity) => policy.bannedIdentities.has(identity));
      const state = banned === undefined ? "not banned" : "banned";
      checks.expect("identity-banned", state, "not banned", `The identity ${banned ?? ""} is banned`);
      checks.end();
      return verified;
    },
  };
}

function verifierOf(
  { tpm, snp, tdx }: Policy,
  variant: EvidenceVariant,
  collateral: Collateral,
  now: () => Date,
  { amd, intel }: VendorAnchors,
): ExplainingVerifier {
  if (variant === "none") return createInsecureVerifier();
  if (variant === "tpm" && tpm !== undefined) return createTpmVerifier(tpm, now);
  if (variant === "snp" && snp !== undefined) return createSnpVerifier(snp, collateral, now, amd);
  if (variant === "tdx" && tdx !== undefined) return createTdxVerifier(tdx, collateral, now, intel);
  throw new BootstrapError("internal/policy", `The policy wants ${variant} and does not say what of it`);
}

function identitiesOf({ identity, identities = [identity] }: EvidenceClaims): readonly string[] {
  return identities;
}
