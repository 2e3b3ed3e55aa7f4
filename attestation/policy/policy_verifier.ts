/**
 * Verifiers that apply a policy.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import { present } from "../../platform/present.ts";
import { createChecks } from "../checks.ts";
import type { Collateral } from "../collateral.ts";
import { combineVerifiers } from "../combined.ts";
import type { EvidenceClaims, EvidenceVerifier, ExplainingVerifier } from "../evidence.ts";
import type { EvidenceKind, VerifierContext } from "../kind.ts";
import type { PeerKind, Policy } from "./policy.ts";
import { sectionOf } from "./policy.ts";

/**
 * Creates the verifier for a policy and a kind of peer.
 *
 * Its `verify` throws the errors of the kinds' verifiers, and `refused/identity-banned`.
 *
 * @param policy The policy.
 * @param peer The kind of peer that shows the evidence.
 * @param collateral The source of documents that vendors sign and that the evidence does not contain.
 * @param now Returns the time of day, for the validity of certificates.
 */
export function createVerifier(
  policy: Policy,
  peer: PeerKind,
  collateral: Collateral,
  now: () => Date,
): EvidenceVerifier {
  return createExplainingVerifier(policy, peer, { collateral, now });
}

/** Like {@linkcode createVerifier}, for explanations, which may have no expectation. */
export function createExplainingVerifier(policy: Policy, peer: PeerKind, context: VerifierContext): ExplainingVerifier {
  const verifier = combineVerifiers(policy.required[peer].map((kind) => verifierOf(policy, kind, context)));
  return {
    variant: verifier.variant,
    ...present("identityIsKey", verifier.identityIsKey),
    ...present("vendorChecks", verifier.vendorChecks),
    ...present("identityCheck", verifier.identityCheck),
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
  throw new BootstrapError("internal/policy", `The policy requires ${kind.name} but has no section on it`);
}

function identitiesOf({ identity, identities = [identity] }: EvidenceClaims): readonly string[] {
  return identities;
}
