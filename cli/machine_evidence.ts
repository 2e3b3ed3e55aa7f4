/**
 * What a machine makes its evidence with.
 *
 * @module
 */
import { combineIssuers, combineRegisters } from "../attestation/combined.ts";
import type { MachineEvidence } from "../attestation/evidence.ts";
import type { EvidenceConfiguration } from "../node/configuration.ts";
import type { CliContext } from "./context.ts";
import type { Machine } from "./machine.ts";

/**
 * The evidence of a machine of one kind or several; one for a process, as it brings what is asked of a TPM into an order.
 *
 * @throws {BootstrapError} `precondition/no-tpm`, `precondition/no-device` for a kind that the machine does not have.
 */
export async function evidenceOf(
  machine: Machine,
  configured: EvidenceConfiguration,
  context: Pick<CliContext, "clock" | "paths">,
): Promise<MachineEvidence> {
  const opened = await openKinds(machine, configured, context);
  const registers = opened.flatMap((one) => one.registers ?? []);
  return {
    issuer: combineIssuers(opened.map(({ issuer }) => issuer)),
    ...(registers.length === 0 ? {} : { registers: combineRegisters(registers) }),
  };
}

/**
 * {@linkcode evidenceOf}, each kind for itself, in their order.
 *
 * @throws {BootstrapError} `precondition/no-tpm`, `precondition/no-device` for a kind that the machine does not have.
 */
export async function openKinds(
  machine: Machine,
  { kinds, ekType }: EvidenceConfiguration,
  { clock, paths }: Pick<CliContext, "clock" | "paths">,
): Promise<readonly MachineEvidence[]> {
  const settings = { ekType, clock, stateFolder: paths.state };
  return await Promise.all(kinds.map((kind) => kind.open(machine, settings)));
}
