/**
 * What a machine makes its evidence with.
 *
 * @module
 */
import { combineIssuers, combineRegisters } from "../attestation/combined.ts";
import type { EvidenceVariant, MachineEvidence } from "../attestation/evidence.ts";
import type { ConfidentialDevice } from "../attestation/tsm/device.ts";
import { TSM_FOLDER } from "../attestation/tsm/report.ts";
import type { EvidenceConfiguration } from "../node/configuration.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { Machine } from "./machine.ts";
import { tpmIssuerOf } from "./machine.ts";

/**
 * The evidence of a machine of one kind or several; one for a process, as `tpmIssuerOf()` is.
 *
 * @throws {BootstrapError} `precondition/no-tpm`, `precondition/no-device` for a kind that the machine has not.
 */
export async function evidenceOf(
  machine: Machine,
  configured: EvidenceConfiguration,
  clock: Clock,
): Promise<MachineEvidence> {
  const kinds = await kindsOf(machine, configured, clock);
  return {
    issuer: combineIssuers(kinds.map(({ issuer }) => issuer)),
    registers: combineRegisters(kinds.map(({ registers }) => registers)),
  };
}

/**
 * {@linkcode evidenceOf}, each kind for itself, in their order.
 *
 * @throws {BootstrapError} `precondition/no-tpm`, `precondition/no-device` for a kind that the machine has not.
 */
export async function kindsOf(
  machine: Machine,
  { variants, ekType }: EvidenceConfiguration,
  clock: Clock,
): Promise<readonly MachineEvidence[]> {
  return await Promise.all(variants.map((variant): MachineEvidence | Promise<MachineEvidence> => {
    if (variant !== "tpm") return confidentialEvidence(variant, deviceOf(machine, variant));
    const tpm = tpmIssuerOf(machine, ekType, clock);
    return { issuer: tpm, registers: tpm };
  }));
}

/** Loaded only on machines that have it. */
async function confidentialEvidence(variant: EvidenceVariant, device: ConfidentialDevice): Promise<MachineEvidence> {
  const { snpEvidence, tdxEvidence } = await import("./confidential_evidence.ts");
  return variant === "snp" ? snpEvidence(device) : tdxEvidence(device);
}

function deviceOf({ device }: Machine, variant: string): ConfidentialDevice {
  if (device !== undefined) return device;
  throw new BootstrapError(
    "precondition/no-device",
    `This machine has no ${TSM_FOLDER}, so there is no evidence of ${variant}`,
    {
      next: "Run it as a confidential VM with a kernel that has configfs-tsm (6.7 or later), mounted",
    },
  );
}
