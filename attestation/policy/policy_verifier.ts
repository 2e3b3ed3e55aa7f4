/**
 * Verifiers by policy.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import { createChecks } from "../checks.ts";
import type { Collateral } from "../collateral.ts";
import { combineVerifiers } from "../combined.ts";
import type { EvidenceClaims, EvidenceVerifier, ExplainingVerifier } from "../evidence.ts";
import type { EvidenceKind, VerifierContext } from "../kind.ts";
import type { PeerKind, Policy } from "./policy.ts";
import { sectionOf } from "./policy.ts";

/**
 * The verifier of what a policy wants of a kind of peer.
 *
 * Its `verify` throws what the verifiers of the kinds do, and `refused/identity-banned`.
 *
 * @param policy The policy.
 * @param peer Whose evidence it is.
 * @param collateral Where to look for what vendors sign and the evidence does not bring.
 * @param now The time of day, for certificates.
 */
export function createVerifier(
  policy: Policy,
  peer: PeerKind,
  collateral: Collateral,
  now: () => Date,
): EvidenceVerifier {
  return createExplainingVerifier(policy, peer, { collateral, now });
}

/** {@linkcode createVerifier} for explanations, which may expect nothing. */
export function createExplainingVerifier(policy: Policy, peer: PeerKind, context: VerifierContext): ExplainingVerifier {
  const verifier = combineVerifiers(policy.required[peer].map((kind) => verifierOf(policy, kind, context)));
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

function verifierOf(policy: Policy, kind: EvidenceKind, context: VerifierContext): ExplainingVerifier {
  const section = sectionOf(policy, kind);
  if (kind.section === undefined || section !== undefined) return kind.createVerifier(section, context);
  throw new BootstrapError("internal/policy", `The policy wants ${kind.name} and does not say what of it`);
}

function identitiesOf({ identity, identities = [identity] }: EvidenceClaims): readonly string[] {
  return identities;
}
