/**
 * The kinds of evidence. A kind is added by a folder in `kinds/` and a line here; a test adds one by passing another list.
 *
 * @module
 */
import type { EvidenceKind } from "./kind.ts";
import { NONE } from "./kinds/none/kind.ts";
import { SNP } from "./kinds/snp/kind.ts";
import { TDX } from "./kinds/tdx/kind.ts";
import { TPM } from "./kinds/tpm/kind.ts";

/** All kinds; the first is the default. */
export const KINDS: readonly EvidenceKind[] = Object.freeze([
  TPM,
  SNP,
  TDX,
  NONE,
]);
