/**
 * Values in evidence that is not verified.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import type { EvidenceVariant } from "../evidence.ts";
import type { EvidenceFile } from "../evidence_file.ts";
import { decodePayload } from "../kinds/tpm/payload.ts";

/** The PCRs in TPM evidence; none where there is none. */
export function quotedPcrs(file: Pick<EvidenceFile, "evidence">): readonly Uint8Array[] {
  return readIn(file, "tpm", (payload) => decodePayload(payload).pcrs) ?? [];
}

/** Something in evidence of a kind, if it can be read. */
export function readIn<T>(
  file: Pick<EvidenceFile, "evidence">,
  kind: EvidenceVariant,
  read: (payload: Uint8Array) => T,
): T | undefined {
  const found = file.evidence.find(({ variant }) => variant === kind);
  try {
    return found === undefined ? undefined : read(found.payload);
  } catch (error) {
    if (error instanceof BootstrapError) return undefined;
    throw error;
  }
}
