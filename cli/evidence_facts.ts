/**
 * What a machine's evidence says beside what goes into a policy, for the people who make one.
 *
 * @module
 */
import type { Evidence } from "../attestation/evidence.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "../attestation/evidence.ts";
import { decodePayload as decodeSnpPayload } from "../attestation/kinds/snp/payload.ts";
import { readReport } from "../attestation/kinds/snp/report.ts";
import { decodeTdxPayload } from "../attestation/kinds/tdx/payload.ts";
import { readQuote } from "../attestation/kinds/tdx/quote.ts";
import { TDX_LOCK_REGISTER } from "../attestation/kinds/tdx/rtmr.ts";
import { decodePayload } from "../attestation/kinds/tpm/payload.ts";
import { readPublicArea, spkiOf } from "../attestation/kinds/tpm/public_area.ts";
import { readQuoteInfo } from "../attestation/kinds/tpm/quote_info.ts";
import { writePem } from "../certificate/pem.ts";
import { hex, sha256 } from "../platform/bytes.ts";

/** What evidence of one kind says, by nobody verified. */
export interface EvidenceFacts {
  /** The machine's identity, lower-case hexadecimal, where evidence of the kind says it. */
  readonly identity?: string;
  /** That the identity is made anew each time the machine starts. */
  readonly isEphemeral?: true;
  /** As JSON. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** As sentences. */
  readonly remarks: readonly string[];
}

const PROTOCOL_REGISTERS: readonly number[] = [TRUST_REGISTER, LOCK_REGISTER];

/**
 * Reads the facts of evidence that this machine made.
 *
 * @throws {BootstrapError} `malformed/…`.
 */
export async function factsOf({ variant, payload }: Evidence): Promise<EvidenceFacts> {
  if (variant === "snp") return snpFacts(payload);
  return variant === "tdx" ? tdxFacts(payload) : await tpmFacts(payload);
}

async function tpmFacts(bytes: Uint8Array): Promise<EvidenceFacts> {
  const payload = decodePayload(bytes);
  const { resetCount, restartCount } = readQuoteInfo(payload.attest);
  const identity = hex(await sha256(spkiOf(readPublicArea(payload.endorsementKey, "endorsement key").key)));
  const pcrs = payload.pcrs.map(hex);
  const ekCertificate = payload.certificate.length === 0 ? null : writePem("CERTIFICATE", payload.certificate);
  return {
    identity,
    facts: {
      identity,
      pcrs: Object.fromEntries(pcrs.map((value, index) => [String(index), value])),
      ...{ resetCount, restartCount, ekCertificate },
    },
    remarks: [
      "Remove registers that differ from boot to boot, and control planes that are to be workers.",
      "",
      ...PROTOCOL_REGISTERS.map((index) => `PCR ${index}, which no policy names: ${pcrs[index] ?? ""}`),
      `The TPM was reset ${resetCount} times, and restarted ${restartCount} times since.`,
      ekCertificate === null ? "The TPM has no EK certificate." : `The EK certificate:\n${ekCertificate.trimEnd()}`,
    ],
  };
}

function snpFacts(bytes: Uint8Array): EvidenceFacts {
  const { report, vek, crl } = decodeSnpPayload(bytes);
  const { reportId, hostData, chipId, measurement } = readReport(report);
  const missing = [
    ...(vek.length === 0 ? ["certificate of its signing key"] : []),
    ...(crl.length === 0 ? ["CRL"] : []),
  ];
  return {
    identity: hex(reportId),
    isEphemeral: true,
    facts: { reportId: hex(reportId), hostData: hex(hostData), chipId: hex(chipId), measurement: hex(measurement) },
    remarks: [
      "",
      `HOST_DATA, which no policy names: ${hex(hostData)}`,
      `REPORT_ID, which is made anew at each start of the VM: ${hex(reportId)}`,
      `Chip ID: ${hex(chipId)}`,
      ...(missing.length === 0
        ? []
        : [`The host gives no ${missing.join(" and no ")}: verifiers look for it by collateral.`]),
    ],
  };
}

function tdxFacts(bytes: Uint8Array): EvidenceFacts {
  const { mrtd, rtmrs, mrConfigId, teeTcbSvn } = readQuote(decodeTdxPayload(bytes).quote).report;
  return {
    facts: {
      mrtd: hex(mrtd),
      rtmrs: rtmrs.map(hex),
      mrConfigId: hex(mrConfigId),
      teeTcbSvn: hex(teeTcbSvn),
    },
    remarks: [
      "",
      `MRCONFIGID, which no policy names: ${hex(mrConfigId)}`,
      `RTMR ${TDX_LOCK_REGISTER}, which no policy names: ${hex(rtmrs[TDX_LOCK_REGISTER])}`,
    ],
  };
}
