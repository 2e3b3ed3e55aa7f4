/**
 * The facts in SEV-SNP evidence that do not go into a policy, for people who make policies.
 *
 * @module
 */
import { hex } from "../../../platform/bytes.ts";
import type { EvidenceFacts } from "../../kind.ts";
import { decodePayload } from "./payload.ts";
import { readReport } from "./report.ts";

/** Reads the facts from SEV-SNP evidence. @throws {BootstrapError} `malformed/…`. */
export function snpFacts(bytes: Uint8Array): EvidenceFacts {
  const { report, vek, crl } = decodePayload(bytes);
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
