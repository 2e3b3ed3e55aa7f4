import { hex } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { extendedOnce } from "../../../protocol/transcript.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "../../evidence.ts";
import { type EvidenceKind, lazyVerifier } from "../../kind.ts";
import type { TpmPolicy } from "./policy.ts";
import { tpmPolicySchema } from "./policy_schema.ts";

/** Evidence of a TPM 2.0. */
export const TPM: EvidenceKind<TpmPolicy> = Object.freeze<EvidenceKind<TpmPolicy>>({
  name: "tpm",
  hasEndorsementKey: true,
  openInFiles: [
    "Only the answer to a challenge, on a connection, proves that the TPM of this endorsement key made the quote",
  ],
  registers: {
    names: `PCR ${TRUST_REGISTER} and PCR ${LOCK_REGISTER}`,
    checks: [`pcr-${TRUST_REGISTER}`, `pcr-${LOCK_REGISTER}`],
    trust: { key: `pcr${TRUST_REGISTER}`, isLaunchValue: false, valueOf: extendedOnce },
  },
  section: {
    schema: tpmPolicySchema,
    texts: async () => (await import("./section_texts.ts")).TPM_TEXTS,
    make: async (sources) => (await import("./policy_section.ts")).makeTpmSection(sources),
    // An authority certifies identities that no policy lists.
    identities: ({ trust }) => trust.issuers.length > 0 ? undefined : trust.identities,
    // The schema wants identities, or issuers with attributes.
    pins: () => true,
    imageRegisters: ({ pcrs }) => new Map([...pcrs].map(([index, values]) => [`pcr${index}`, values.map(hex)])),
    lists: ({ trust }, identity) => trust.identities.has(identity),
    trusts: ({ trust }, identity) => trust.issuers.length > 0 || trust.identities.has(identity),
  },
  async open({ tpm }, { ekType, clock }) {
    if (tpm === undefined) throw noTpm();
    // One issuer serves both, because it puts the commands to the TPM in order.
    const issuer = (await import("./issuer.ts")).createTpmIssuer(tpm, ekType, clock);
    return { issuer, registers: issuer };
  },
  async openRegisters({ tpm }, { ekType, clock }) {
    return tpm === undefined ? undefined : (await import("./issuer.ts")).createTpmIssuer(tpm, ekType, clock);
  },
  createVerifier: (policy, { now }) =>
    lazyVerifier({ variant: "tpm" }, async () => (await import("./verifier.ts")).createTpmVerifier(policy, now)),
  facts: async (payload) => await (await import("./facts.ts")).tpmFacts(payload),
  logged: {
    name: "PCR",
    log: "eventLog",
    checkOf: (index) => `pcr-${index}`,
    read: async (payload) => (await import("./payload.ts")).decodePayload(payload).pcrs,
  },
});

function noTpm(): BootstrapError {
  return new BootstrapError("precondition/no-tpm", "This machine has no TPM, so it cannot make evidence", {
    next: "Give the machine a TPM 2.0; for development without one, see evidence.variant in the example configurations",
  });
}
