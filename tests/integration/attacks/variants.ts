/**
 * The kinds of machines that the attacks use. Each makes its evidence with the real issuer, over a TPM, an AMD or an
 * Intel in software. Each has a verifier that pins the machine itself, not only its image.
 *
 * @module
 */
import {
  combineIssuers,
  combineRegisters,
  combineVerifiers,
  decodeEvidenceSet,
} from "../../../attestation/combined.ts";
import type { EvidenceIssuer, EvidenceVerifier, MeasurementRegisters } from "../../../attestation/evidence.ts";
import { TRUST_REGISTER } from "../../../attestation/evidence.ts";
import { appraise } from "../../../attestation/kinds/snp/appraisal.ts";
import { CERTIFICATE_GUID } from "../../../attestation/kinds/snp/certificate_table.ts";
import { createSnpIssuer } from "../../../attestation/kinds/snp/issuer.ts";
import { decodePayload as decodeSnpPayload } from "../../../attestation/kinds/snp/payload.ts";
import { snpRegisters } from "../../../attestation/kinds/snp/registers.ts";
import * as amdTesting from "../../../attestation/kinds/snp/testing/snp.ts";
import { createSnpVerifier } from "../../../attestation/kinds/snp/verifier.ts";
import { createTdxIssuer } from "../../../attestation/kinds/tdx/issuer.ts";
import { SGX_EXTENSION } from "../../../attestation/kinds/tdx/pck.ts";
import { tdxMeasurementRegisters } from "../../../attestation/kinds/tdx/registers.ts";
import { createTdxRegisters, padded } from "../../../attestation/kinds/tdx/rtmr.ts";
import { filled } from "../../../attestation/kinds/tdx/testing/tdx.ts";
import * as intelDer from "../../../attestation/kinds/tdx/testing/der.ts";
import type { QuoteLies } from "../../../attestation/kinds/tdx/testing/intel.ts";
import { createSoftwareIntel } from "../../../attestation/kinds/tdx/testing/intel.ts";
import type { TdxPolicy } from "../../../attestation/kinds/tdx/policy.ts";
import { createTdxVerifier, readTdxEvidence, verifyTdx } from "../../../attestation/kinds/tdx/verifier.ts";
import { checkEkTrust } from "../../../attestation/kinds/tpm/ek_trust.ts";
import { decodePayload as decodeTpmPayload } from "../../../attestation/kinds/tpm/payload.ts";
import { createTpmVerifier } from "../../../attestation/kinds/tpm/verifier.ts";
import type { TsmRequest } from "../../../attestation/tsm/report.ts";
import { readTsmReport } from "../../../attestation/tsm/report.ts";
import { createFakeTsm } from "../../../attestation/tsm/testing/tsm.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, copyOf, hex, randomBytes } from "../../../platform/bytes.ts";
import { startTpmMachine, swtpmTest, verifierFor } from "./attacks.ts";
import type { Stopper } from "./stopped_by.ts";

/** A machine of one kind, or of several. */
export interface VariantMachine extends AsyncDisposable {
  /**
   * Makes the machine's evidence honestly, and has its registers. Values that a host sets at the launch are set by
   * extending PCR 12.
   */
  readonly issuer: EvidenceIssuer & MeasurementRegisters;
  /** The identity by which a verifier knows the machine; empty if the statement determines it (TDX). */
  readonly identity: string;
  /** The hardware identity that a policy may pin: the EK's identity, the chip, the platform. */
  readonly hardware: string;
  /** The machine of each kind, if there are several kinds. */
  readonly parts: readonly VariantMachine[];
  /** Boots an image that differs from the policy's. */
  changeImage(): Promise<void>;
}

/** An SEV-SNP machine. */
export interface SnpMachine extends VariantMachine {
  /** Replaced bytes of the machine's reports, by their offset. */
  readonly fields: Record<number, Uint8Array>;
}

/** A TDX machine. */
export interface TdxMachine extends VariantMachine {
  /** Replaced values of the machine's quotes. */
  readonly lies: { -readonly [K in keyof QuoteLies]: QuoteLies[K] };
}

/** The names of the checks that stop an attack, as in `refused/pcr-4`. */
export interface VariantChecks {
  /** Stops evidence of another connection, or over another statement. */
  readonly statement: string;
  /** Stops the trust part of another configuration. */
  readonly trust: string;
  /** Stops the lock of another cluster; undefined if there is no register for the lock. */
  readonly lock?: string;
  /** Stops another image. */
  readonly image: string;
  /** Stops the same image on other hardware. */
  readonly hardware: string;
}

/**
 * The functions that stop each attack. `verifier` checks the variant and the expected values; `form` reads the bytes.
 */
export type VariantStoppers = Readonly<Record<keyof VariantChecks | "verifier" | "form", Stopper>>;

/** A kind of evidence, or several. */
export interface TestVariant {
  /** The name of the variant in evidence. */
  readonly name: string;
  /** The checks that stop attacks. */
  readonly checks: VariantChecks;
  /** The functions that make these checks. */
  readonly stoppers: VariantStoppers;
  /** Whether each start of a machine creates a new identity. */
  readonly isEphemeral: boolean;
  /** Makes a machine and boots it. Nothing is measured yet. */
  start(): Promise<VariantMachine>;
  /** A verifier that trusts these machines if they run the policy's image. */
  verifierFor(...machines: readonly VariantMachine[]): EvidenceVerifier;
}

/** The digest of the policy's SNP image. */
const MEASUREMENT = filled(48, 0x3e);
/** The AMD in software that makes all SNP machines here. */
export const AMD = await amdTesting.createSoftwareAmd();
/** The Intel in software that makes all TDX machines here. */
export const INTEL = createSoftwareIntel();
const AMD_COLLATERAL = await AMD.collateral();

const TPM: TestVariant = {
  name: "tpm",
  checks: { statement: "statement", trust: "pcr-12", lock: "pcr-15", image: "pcr-4", hardware: "ek-identity" },
  stoppers: {
    ...{ statement: createTpmVerifier, trust: createTpmVerifier, lock: createTpmVerifier, image: createTpmVerifier },
    ...{ hardware: checkEkTrust, verifier: createTpmVerifier, form: decodeTpmPayload },
  },
  isEphemeral: false,
  async start() {
    const machine = await startTpmMachine();
    const self: VariantMachine = {
      issuer: machine.issuer,
      identity: machine.identity,
      hardware: machine.identity,
      get parts() {
        return [self];
      },
      changeImage: () => machine.issuer.extend(4, randomBytes(32)),
      [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
    };
    return self;
  },
  verifierFor: (...machines) => verifierFor(...machines),
};

/** Launches an SEV-SNP machine on a chip of its own. */
export async function startSnpMachine(): Promise<SnpMachine> {
  const [chip, reportId] = [randomBytes(64), randomBytes(32)];
  const fields: Record<number, Uint8Array> = { 0x90: MEASUREMENT, 0xc0: filled(32, 0), 0x140: reportId, 0x1a0: chip };
  const auxblob = amdTesting.certificateTableOf({
    [CERTIFICATE_GUID.vcek]: await AMD.vek({ extensions: { "04": chip } }),
  });
  const tsm = createFakeTsm({
    provider: "sev_guest",
    privilegeFloor: 0,
    answer: async (reportData) => ({ outblob: await AMD.report({ ...fields, 0x50: reportData }), auxblob }),
  });
  const read = (request: TsmRequest) => readTsmReport(request, tsm);
  const registers = snpRegisters(read);
  const self: SnpMachine = {
    fields,
    issuer: {
      ...createSnpIssuer(read),
      ...registers,
      // Each launch gives a new machine, so no register of the previous one is remembered.
      read: (index) => snpRegisters(read).read(index),
      extend: (index, digest) =>
        index === TRUST_REGISTER ? Promise.resolve(void (fields[0xc0] = digest)) : registers.extend(index, digest),
    },
    identity: hex(reportId),
    hardware: hex(chip),
    get parts() {
      return [self];
    },
    changeImage: () => Promise.resolve(void (fields[0x90] = randomBytes(48))),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return self;
}

const SNP: TestVariant = {
  name: "snp",
  checks: {
    ...{ statement: "snp-report-data", trust: "snp-host-data", image: "snp-measurement" },
    hardware: "snp-chip-id",
  },
  stoppers: {
    ...{ statement: appraise, trust: appraise, lock: appraise, image: appraise, hardware: appraise },
    ...{ verifier: createSnpVerifier, form: decodeSnpPayload },
  },
  isEphemeral: true,
  start: startSnpMachine,
  verifierFor(...machines) {
    const policy = { ...amdTesting.policyFor(), chipIds: new Set(machines.map(({ hardware }) => hardware)) };
    return createSnpVerifier(policy, AMD_COLLATERAL, () => amdTesting.NOW, AMD.anchors);
  },
};

/** The policy for the TDX machines here. */
export const TDX_POLICY: TdxPolicy = Object.freeze({
  mrtd: [filled(48, 0xa0)],
  rtmr0: [filled(48, 0xb0)],
  rtmr1: [filled(48, 0xb1)],
  rtmr2: [filled(48, 0xb2)],
  tcbStatuses: ["UpToDate"] as const,
  minimumTeeTcbSvn: filled(16, 0),
  minimumEvaluation: 1,
  bannedPlatforms: new Set<string>(),
});

/** Launches a TDX machine on a platform of its own. */
export function startTdxMachine(): TdxMachine {
  const ppid = randomBytes(16);
  const rtmrs = [filled(48, 0xb0), filled(48, 0xb1), filled(48, 0xb2), filled(48, 0)];
  const lies: TdxMachine["lies"] = { rtmrs, mrConfigId: filled(48, 0), chain: chainOf(ppid) };
  const tsm = createFakeTsm({
    provider: "tdx_guest",
    answer: async (reportData) => ({ outblob: await INTEL.quote({ ...lies, reportData }) }),
  });
  const registers = tdxMeasurementRegisters(createTdxRegisters({
    read: (name) => Promise.resolve(name === "mrconfigid" ? lies.mrConfigId ?? filled(48, 0) : rtmrs[3] ?? ppid),
    async write(_name, bytes) {
      rtmrs[3] = new Uint8Array(await crypto.subtle.digest("SHA-384", concat(rtmrs[3] ?? ppid, copyOf(bytes))));
    },
  }));
  const self: TdxMachine = {
    lies,
    issuer: {
      ...createTdxIssuer(() => Promise.resolve(INTEL.collateral()), (request) => readTsmReport(request, tsm)),
      ...registers,
      extend: (index, digest) =>
        index === TRUST_REGISTER
          ? Promise.resolve(void (lies.mrConfigId = padded(digest)))
          : registers.extend(index, digest),
    },
    identity: "",
    hardware: hex(ppid),
    get parts() {
      return [self];
    },
    changeImage: () => Promise.resolve(void (rtmrs[2] = randomBytes(48))),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return self;
}

/** The PCK chain of a platform. */
function chainOf(ppid: Bytes): readonly Uint8Array[] {
  const platform = { fmspc: "b0c06f000000", components: Array.from(filled(16, 2)), pceSvn: 11 };
  const parts = intelDer.sgxParts(platform).with(0, intelDer.sgxPart("1", intelDer.element(0x04, ppid)));
  const sequence = intelDer.element(0x30, ...parts);
  const extension = intelDer.element(0x30, intelDer.oid(SGX_EXTENSION), intelDer.element(0x04, sequence));
  return [INTEL.certificate("pck", { extensions: [extension] }), INTEL.certificate("issuer"), INTEL.anchor.der];
}

/** A source without any collateral, so that verifiers use only what comes with the evidence. */
export const NOWHERE = Object.freeze({ place: "nowhere", find: () => Promise.resolve(undefined) });

const TDX: TestVariant = {
  name: "tdx",
  checks: {
    ...{ statement: "tdx-report-data", trust: "tdx-mrconfigid", lock: "tdx-rtmr-3", image: "tdx-rtmr-2" },
    hardware: "tdx-platform",
  },
  stoppers: {
    ...{ statement: verifyTdx, trust: verifyTdx, lock: verifyTdx, image: verifyTdx, hardware: verifyTdx },
    ...{ verifier: createTdxVerifier, form: readTdxEvidence },
  },
  isEphemeral: true,
  start: () => Promise.resolve(startTdxMachine()),
  verifierFor(...machines) {
    const policy = { ...TDX_POLICY, platforms: new Set(machines.map(({ hardware }) => hardware)) };
    return createTdxVerifier(policy, NOWHERE, () => intelDer.NOW, INTEL.anchor);
  },
};

/** A machine of several kinds. Each part is a separate machine here. */
export function combineMachines(parts: readonly VariantMachine[]): VariantMachine {
  const issuers = parts.map(({ issuer }) => issuer);
  const [first] = parts;
  if (first === undefined) throw new Error("no parts");
  return {
    issuer: { ...combineIssuers(issuers), ...combineRegisters(issuers) },
    identity: first.identity,
    hardware: first.hardware,
    parts,
    changeImage: () => first.changeImage(),
    async [Symbol.asyncDispose]() {
      for (const part of parts) await part[Symbol.asyncDispose]();
    },
  };
}

/** The TPM is checked first, so tests see the TPM's checks. */
const TPM_AND_SNP: TestVariant = {
  ...TPM,
  name: "tpm+snp",
  stoppers: { ...TPM.stoppers, verifier: combineVerifiers, form: decodeEvidenceSet },
  start: async () => combineMachines([await TPM.start(), await SNP.start()]),
  verifierFor: (...machines) =>
    combineVerifiers(
      [TPM, SNP].map((variant, index) => variant.verifierFor(...machines.flatMap(({ parts }) => parts[index] ?? []))),
    ),
};

/** Every kind of evidence that proves something, and a machine with two kinds. */
export const VARIANTS: Readonly<Record<"tpm" | "snp" | "tdx" | "tpm+snp", TestVariant>> = Object.freeze({
  tpm: TPM,
  snp: SNP,
  tdx: TDX,
  "tpm+snp": TPM_AND_SNP,
});

/** Registers a test for each of these variants. Its name may depend on the variant; variants with a TPM need swtpm. */
export async function variantTest(
  name: string | ((variant: TestVariant) => string),
  run: (t: Deno.TestContext, variant: TestVariant) => Promise<void>,
  variants: readonly TestVariant[] = Object.values(VARIANTS),
): Promise<void> {
  for (const variant of variants) {
    const full = `${typeof name === "string" ? name : name(variant)} [${variant.name}]`;
    if (variant.name.includes("tpm")) await swtpmTest(full, (t) => run(t, variant));
    else Deno.test(full, (t) => run(t, variant));
  }
}
