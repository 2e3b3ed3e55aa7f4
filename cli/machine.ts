/**
 * The machine, as far as it is behind files that Deno opens only with all permissions: looked at once, at the start.
 *
 * @module
 */
import { join } from "node:path";
import { combineIssuers, combineRegisters } from "../attestation/combined.ts";
import type { EvidenceIssuer, MeasurementRegisters } from "../attestation/evidence.ts";
import { createSnpIssuer } from "../attestation/snp/issuer.ts";
import { snpRegisters } from "../attestation/snp/registers.ts";
import { createTdxIssuer } from "../attestation/tdx/issuer.ts";
import { tdxMeasurementRegisters } from "../attestation/tdx/registers.ts";
import { createTdxRegisters } from "../attestation/tdx/rtmr.ts";
import type { TpmIssuer } from "../attestation/tpm/issuer.ts";
import { createTpmIssuer } from "../attestation/tpm/issuer.ts";
import type { EkType } from "../attestation/tpm/templates.ts";
import type { TpmTransport } from "../attestation/tpm/transport.ts";
import type { ConfidentialDevice } from "../attestation/tsm/device.ts";
import { TSM_FOLDER } from "../attestation/tsm/report.ts";
import type { TsmRequest } from "../attestation/tsm/report.ts";
import type { EvidenceConfiguration } from "../node/configuration.ts";
import type { Clock } from "../platform/clock.ts";
import type { MachineFacts } from "../node/configuration_defaults.ts";
import { defaultRouteInterfaces } from "../node/configuration_defaults.ts";
import type { ImageFinding } from "../node/image_measured.ts";
import { findUnmeasured } from "../node/image_measured.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { exists, readFileIfExists } from "../platform/files.ts";
import type { CliContext } from "./context.ts";

/** This machine. */
export interface Machine {
  /** The way to the TPM, open; none where the machine has none. */
  readonly tpm?: TpmTransport;
  /** The devices of a confidential VM, in a process of their own; none where the machine is none. */
  readonly device?: ConfidentialDevice;
  /** Name and addresses. */
  readonly facts: MachineFacts;
  /** What of "the image is measured" does not hold. */
  readonly unmeasured: readonly ImageFinding[];
}

const MAXIMUM_PROC_BYTES = 1 << 20;
/** Registers are read without the endorsement key. */
const ANY_EK_TYPE = "rsa2048";

/**
 * Opens the machine. Every subcommand that needs it does so first and gives up its permissions then.
 *
 * @throws {BootstrapError} `system/tpm-transport` for a TPM that is there and cannot be opened, `system/…`.
 */
export async function openMachine(context: CliContext): Promise<Machine> {
  const { paths } = context;
  const tpm = await exists(paths.tpmDevice) ? await context.openTpm() : undefined;
  const device = await exists(join(paths.root, TSM_FOLDER)) ? context.openDevice() : undefined;
  const routes = await readFileIfExists(join(paths.root, "proc/net/route"), MAXIMUM_PROC_BYTES);
  const names = context.machineNames();
  return {
    ...(tpm === undefined ? {} : { tpm }),
    ...(device === undefined ? {} : { device }),
    facts: { ...names, defaultRouteInterfaces: defaultRouteInterfaces(fromUtf8(routes ?? new Uint8Array(), "routes")) },
    unmeasured: await findUnmeasured({
      root: paths.root,
      isConfidential: device !== undefined,
      ...(tpm === undefined ? {} : { registers: createTpmIssuer(tpm, ANY_EK_TYPE, context.clock) }),
    }),
  };
}

/** What makes a machine's evidence, and what it measures into. */
export interface MachineEvidence {
  /** Of all kinds that are configured. */
  readonly issuer: EvidenceIssuer;
  /** Likewise. */
  readonly registers: MeasurementRegisters;
}

/**
 * The evidence of a machine of one kind or several; one for a process, as {@linkcode tpmIssuerOf} is.
 *
 * @throws {BootstrapError} `precondition/no-tpm`, `precondition/no-device` for a kind that the machine has not.
 */
export function evidenceOf(machine: Machine, configured: EvidenceConfiguration, clock: Clock): MachineEvidence {
  const kinds = kindsOf(machine, configured, clock);
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
export function kindsOf(
  machine: Machine,
  { variants, ekType }: EvidenceConfiguration,
  clock: Clock,
): readonly MachineEvidence[] {
  return variants.map((variant): MachineEvidence => {
    if (variant === "tpm") {
      const tpm = tpmIssuerOf(machine, ekType, clock);
      return { issuer: tpm, registers: tpm };
    }
    const device = deviceOf(machine, variant);
    const report = (request: TsmRequest) => device.report(request);
    return variant === "snp" ? { issuer: createSnpIssuer(report), registers: snpRegisters(report) } : {
      issuer: createTdxIssuer(undefined, report),
      registers: tdxMeasurementRegisters(createTdxRegisters(device.registers)),
    };
  });
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

/**
 * The TPM of a machine that must have one: issuer of its evidence, and its registers. One for a process, as it brings what is
 * asked of the TPM into an order.
 *
 * @throws {BootstrapError} `precondition/no-tpm`.
 */
export function tpmIssuerOf(machine: Machine, ekType: EkType, clock: Clock): TpmIssuer {
  if (machine.tpm !== undefined) return createTpmIssuer(machine.tpm, ekType, clock);
  throw new BootstrapError("precondition/no-tpm", "This machine has no TPM, so there is no evidence of what it is", {
    next: "Give the machine a TPM 2.0; for development without one, see evidence.variant in the example configurations",
  });
}
