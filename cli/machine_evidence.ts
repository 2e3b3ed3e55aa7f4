/**
 * The issuers of a machine's evidence, and its registers.
 *
 * @module
 */
import { combineIssuers, combineRegisters } from "../attestation/combined.ts";
import type { MachineEvidence } from "../attestation/evidence.ts";
import { present } from "../platform/present.ts";
import type { EvidenceConfiguration } from "../node/configuration.ts";
import type { CliContext } from "./context.ts";
import type { Machine } from "./machine.ts";

/**
 * Returns the issuer and the registers of a machine, of one kind of evidence or several. A process must create only
 * one, which puts all requests to a TPM in order.
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
    ...present("registers", registers.length === 0 ? undefined : combineRegisters(registers)),
  };
}

/**
 * Like {@linkcode evidenceOf}, but for each kind separately, in their order.
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
