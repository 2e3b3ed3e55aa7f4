/**
 * Values in evidence that is not verified.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import type { EvidenceFile } from "../evidence_file.ts";
import type { EvidenceKind } from "../kind.ts";

/** The PCRs in the evidence of the first kind that has some; none where there are none, or none that can be read. */
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
