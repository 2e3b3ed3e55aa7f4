/**
 * Values from unverified evidence.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import type { EvidenceFile } from "../evidence_file.ts";
import type { EvidenceKind } from "../kind.ts";

/**
 * Returns the PCRs from the evidence of the first kind that has PCRs; an empty list if there are none or they cannot be
 * read.
 */
export async function quotedPcrs(
  { evidence }: Pick<EvidenceFile, "evidence">,
  kinds: readonly EvidenceKind[],
): Promise<readonly Uint8Array[]> {
  const kind = kinds.find(({ name, pcrs }) => pcrs !== undefined && evidence.some(({ variant }) => variant === name));
  const found = evidence.find(({ variant }) => variant === kind?.name);
  try {
    return found === undefined ? [] : await kind?.pcrs?.(found.payload) ?? [];
  } catch (error) {
    if (error instanceof BootstrapError) return [];
    throw error;
  }
}
