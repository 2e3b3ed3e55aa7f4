/**
 * The issuers of a machine's evidence, and its registers.
 *
 * @module
 */
import { combineIssuers, combineRegisters } from "../attestation/combined.ts";
import type { MachineEvidence, MeasurementRegisters } from "../attestation/evidence.ts";
import type { EvidenceKind } from "../attestation/kind.ts";
import { present } from "../platform/present.ts";
import type { EvidenceConfiguration } from "../node/configuration.ts";
import type { CliContext } from "./context.ts";
import { kindsOf } from "./kinds.ts";
import type { Machine } from "./machine.ts";

/** What opening a machine's evidence needs of the context. */
export type EvidenceContext = Pick<CliContext, "clock" | "paths" | "kinds">;

/**
 * Returns the issuer of the configured kinds of evidence, and all registers of the machine, also those of other kinds:
 * a machine that has a TPM measures, whatever evidence it gives. A process must create only one, which puts all
 * requests to a TPM in order.
 *
 * @throws {BootstrapError} `precondition/no-tpm`, `precondition/no-device` for a configured kind that the machine does
 *   not have.
 */
export async function evidenceOf(
  machine: Machine,
  configured: EvidenceConfiguration,
  context: EvidenceContext,
): Promise<MachineEvidence> {
  const opened = await openKinds(machine, configured, context);
  const registers = [
    ...opened.flatMap((one) => one.registers ?? []),
    ...await otherRegisters(machine, configured, context),
  ];
  return {
    issuer: combineIssuers(opened.map(({ issuer }) => issuer)),
    ...present("registers", registers.length === 0 ? undefined : combineRegisters(registers)),
  };
}

/**
 * Like {@linkcode evidenceOf}, but for each configured kind separately, in their order, and without the registers of
 * other kinds.
 *
 * @throws {BootstrapError} `precondition/no-tpm`, `precondition/no-device` for a kind that the machine does not have.
 */
export async function openKinds(
  machine: Machine,
  configured: EvidenceConfiguration,
  context: EvidenceContext,
): Promise<readonly MachineEvidence[]> {
  const settings = settingsOf(configured, context);
  return await Promise.all(configured.kinds.map((kind) => kind.open(machine, settings)));
}

async function otherRegisters(
  machine: Machine,
  configured: EvidenceConfiguration,
  context: EvidenceContext,
): Promise<readonly MeasurementRegisters[]> {
  const isConfigured = ({ name }: EvidenceKind) => configured.kinds.some((kind) => kind.name === name);
  const settings = settingsOf(configured, context);
  const others = kindsOf(context).filter((kind) => !isConfigured(kind));
  const opened = await Promise.all(others.map((kind) => kind.openRegisters?.(machine, settings)));
  return opened.flatMap((registers) => registers ?? []);
}

function settingsOf({ ekType }: EvidenceConfiguration, { clock, paths }: EvidenceContext) {
  return { ekType, clock, stateFolder: paths.state };
}
