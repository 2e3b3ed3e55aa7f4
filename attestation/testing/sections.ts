/**
 * Accessors for tests of policies: the sections of the kinds, and the kinds' names.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { EvidenceKind } from "../kind.ts";
import { SNP } from "../kinds/snp/kind.ts";
import type { SnpPolicy } from "../kinds/snp/policy.ts";
import { TDX } from "../kinds/tdx/kind.ts";
import type { TdxPolicy } from "../kinds/tdx/policy.ts";
import { TPM } from "../kinds/tpm/kind.ts";
import type { TpmPolicy } from "../kinds/tpm/policy.ts";
import { type PeerKind, type Policy, sectionOf } from "../policy/policy.ts";

function needed<Section>(policy: Policy, kind: EvidenceKind<Section>): Section {
  return sectionOf(policy, kind) ?? assert.fail(`the policy has no section about ${kind.name}`);
}

/** Returns a policy's section on the TPM. */
export function tpmOf(policy: Policy): TpmPolicy {
  return needed(policy, TPM);
}

/** Returns a policy's section on SEV-SNP. */
export function snpOf(policy: Policy): SnpPolicy {
  return needed(policy, SNP);
}

/** Returns a policy's section on TDX. */
export function tdxOf(policy: Policy): TdxPolicy {
  return needed(policy, TDX);
}

/** Returns the names of the kinds that a policy requires. */
export function requiredNames({ required }: Policy): Readonly<Record<PeerKind, readonly string[]>> {
  const names = (kinds: readonly EvidenceKind[]) => kinds.map(({ name }) => name);
  return { node: names(required.node), init: names(required.init) };
}
