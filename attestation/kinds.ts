/**
 * The kinds of evidence. A new kind needs a folder in `kinds/` and a line here. A test adds a kind by passing another
 * list.
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
