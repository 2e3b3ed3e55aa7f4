import type { Certificate } from "../../../certificate/x509.ts";
import { hex } from "../../../platform/bytes.ts";
import { present } from "../../../platform/present.ts";
import { type EvidenceKind, lazyVerifier } from "../../kind.ts";
import { neededDevice } from "../../tsm/machine_device.ts";
import type { TdxPolicy } from "./policy.ts";
import { tdxPolicySchema } from "./policy_schema.ts";
import { padded } from "./rtmr.ts";

const NAME = "tdx";

/**
 * Creates the evidence kind of Intel TDX.
 *
 * @param anchor The trusted root. By default Intel's own; tests pass another.
 */
export function tdxKind(anchor?: Certificate): EvidenceKind<TdxPolicy> {
  return Object.freeze<EvidenceKind<TdxPolicy>>({
    name: NAME,
    exclusive: "processor",
    registers: {
      names: "MRCONFIGID and RTMR 3",
      checks: ["tdx-mrconfigid", "tdx-rtmr-3"],
      trust: { key: "mrConfigId", isLaunchValue: true, valueOf: (digest) => Promise.resolve(padded(digest)) },
    },
    vendorService: async () => (await import("./vendor_service.ts")).intelService(anchor && (() => anchor)),
    section: {
      schema: tdxPolicySchema,
      texts: async () => (await import("./section_texts.ts")).TDX_TEXTS,
      missingCollateral: "refused/tdx-collateral-missing",
      imageRegisters: ({ mrtd, rtmr0, rtmr1, rtmr2 }) =>
        new Map(
          Object.entries({ mrtd, ...present("rtmr0", rtmr0), rtmr1, rtmr2 })
            .map(([name, values]) => [name, values.map(hex)]),
        ),
      pins: ({ platforms }) => platforms !== undefined,
      make: async (sources, context) =>
        await (await import("./policy_section.ts")).makeTdxSection(sources.machines, context, anchor),
    },
    async open({ device }) {
      const found = neededDevice(device, NAME);
      const { createTdxIssuer } = await import("./issuer.ts");
      const { tdxMeasurementRegisters } = await import("./registers.ts");
      const { createTdxRegisters } = await import("./rtmr.ts");
      return {
        issuer: createTdxIssuer(undefined, (request) => found.report(request)),
        registers: tdxMeasurementRegisters(createTdxRegisters(found.registers)),
      };
    },
    async openRegisters({ device, hasTdRegisters = false }) {
      if (device === undefined || !hasTdRegisters) return undefined;
      const { tdxLockRegister } = await import("./registers.ts");
      const { createTdxRegisters } = await import("./rtmr.ts");
      return tdxLockRegister(createTdxRegisters(device.registers));
    },
    createVerifier: (policy, { collateral, now }) =>
      lazyVerifier(
        { variant: NAME, identityIsKey: true },
        async () => (await import("./verifier.ts")).createTdxVerifier(policy, collateral, now, anchor),
      ),
    logged: {
      name: "RTMR",
      log: "ccEventLog",
      checkOf: (index) => `tdx-rtmr-${index}`,
      read: async (payload) => (await import("./facts.ts")).tdxRegisters(payload),
    },
    facts: async (payload) => (await import("./facts.ts")).tdxFacts(payload),
  });
}

/** The evidence kind of Intel TDX, with Intel's own root. */
export const TDX: EvidenceKind<TdxPolicy> = tdxKind();
