import type { SnpPolicy } from "./policy.ts";

/** Returns what users of a policy must know about its SEV-SNP section, as sentences without a full stop. */
export function snpRemarks({ products, chipIds }: SnpPolicy): readonly string[] {
  return [
    // arXiv 2605.12990 (2026): the seed of a chip's VCEK can be extracted.
    ...(products.has("milan")
      ? [
        "MILAN: snp.products lists milan, whose chips give away the seed of their signing keys to an attacker at the " +
        "machine (arXiv 2605.12990); use genoa or turin, or list only chips in places that you control in snp.chipIds",
      ]
      : []),
    ...(chipIds === undefined
      ? [
        "ANY CHIP: snp.chipIds is not set, so a VM on any chip of these lines of processors is let in, wherever it is; " +
        "list the chips of your hosts",
      ]
      : []),
  ];
}
