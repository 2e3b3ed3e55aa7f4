import { copyOf, hex } from "../../../platform/bytes.ts";
import { type EvidenceKind, lazyVerifier } from "../../kind.ts";
import type { TsmRequest } from "../../tsm/report.ts";
import { neededDevice } from "../../tsm/machine_device.ts";
import type { AmdAnchor } from "./amd_roots.ts";
import type { SnpPolicy } from "./policy.ts";
import { snpPolicySchema } from "./policy_schema.ts";
import { snpRemarks } from "./remarks.ts";

const NAME = "snp";

/**
 * Creates the evidence kind of AMD SEV-SNP.
 *
 * @param anchors The trusted roots. By default AMD's own; tests pass others.
 */
export function snpKind(anchors?: readonly AmdAnchor[]): EvidenceKind<SnpPolicy> {
  return Object.freeze<EvidenceKind<SnpPolicy>>({
    name: NAME,
    exclusive: "processor",
    registers: {
      names: "HOST_DATA",
      checks: ["snp-host-data"],
      trust: { key: "hostData", isLaunchValue: true, valueOf: (digest) => Promise.resolve(copyOf(digest)) },
    },
    vendorService: async () => (await import("./vendor_service.ts")).amdService(anchors && (() => anchors)),
    section: {
      schema: snpPolicySchema,
      texts: async () => (await import("./section_texts.ts")).SNP_TEXTS,
      missingCollateral: "refused/snp-collateral",
      remarks: snpRemarks,
      imageRegisters: ({ measurements }) => new Map([["measurement", measurements.map(hex)]]),
      pins: ({ chipIds }) => chipIds !== undefined,
      make: async (sources, context) =>
        await (await import("./policy_section.ts")).makeSnpSection(sources.machines, context, anchors),
    },
    async open({ device }) {
      const found = neededDevice(device, NAME);
      const report = (request: TsmRequest) => found.report(request);
      const { createSnpIssuer } = await import("./issuer.ts");
      const { snpRegisters } = await import("./registers.ts");
      return { issuer: createSnpIssuer(report), registers: snpRegisters(report) };
    },
    createVerifier: (policy, { collateral, now }) =>
      lazyVerifier(
        { variant: NAME },
        async () => (await import("./verifier.ts")).createSnpVerifier(policy, collateral, now, anchors),
      ),
    facts: async (payload) => (await import("./facts.ts")).snpFacts(payload),
  });
}

/** The evidence kind of AMD SEV-SNP, with AMD's own roots. */
export const SNP: EvidenceKind<SnpPolicy> = snpKind();
