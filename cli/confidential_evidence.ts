/**
 * The evidence of confidential VMs.
 *
 * @module
 */
import type { MachineEvidence } from "../attestation/evidence.ts";
import { createSnpIssuer } from "../attestation/kinds/snp/issuer.ts";
import { snpRegisters } from "../attestation/kinds/snp/registers.ts";
import { createTdxIssuer } from "../attestation/kinds/tdx/issuer.ts";
import { tdxMeasurementRegisters } from "../attestation/kinds/tdx/registers.ts";
import { createTdxRegisters } from "../attestation/kinds/tdx/rtmr.ts";
import type { ConfidentialDevice } from "../attestation/tsm/device.ts";
import type { TsmRequest } from "../attestation/tsm/report.ts";

/** That of an SEV-SNP machine. */
export function snpEvidence(device: ConfidentialDevice): MachineEvidence {
  const report = (request: TsmRequest) => device.report(request);
  return { issuer: createSnpIssuer(report), registers: snpRegisters(report) };
}

/** That of a TD. */
export function tdxEvidence(device: ConfidentialDevice): MachineEvidence {
  return {
    issuer: createTdxIssuer(undefined, (request) => device.report(request)),
    registers: tdxMeasurementRegisters(createTdxRegisters(device.registers)),
  };
}
