/**
 * Values from unverified evidence.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import type { EvidenceFile } from "../evidence_file.ts";
import type { EvidenceKind, LoggedRegisters } from "../kind.ts";

/** The registers of one kind in evidence. */
export interface ShownRegisters {
  readonly logged: LoggedRegisters;
  /** The values, from 0; empty if they cannot be read. */
  readonly values: readonly Uint8Array[];
}

/** Returns the registers that event logs explain, for each kind of the evidence that has such. */
export async function shownRegisters(
  { evidence }: Pick<EvidenceFile, "evidence">,
  kinds: readonly EvidenceKind[],
): Promise<readonly ShownRegisters[]> {
  const shown: ShownRegisters[] = [];
  for (const { name, logged } of kinds) {
    const found = evidence.find(({ variant }) => variant === name);
    if (logged === undefined || found === undefined) continue;
    shown.push({ logged, values: await valuesOf(logged, found.payload) });
  }
  return shown;
}

async function valuesOf(logged: LoggedRegisters, payload: Uint8Array): Promise<readonly Uint8Array[]> {
  try {
    return await logged.read(payload);
  } catch (error) {
    if (error instanceof BootstrapError) return [];
    throw error;
  }
}
