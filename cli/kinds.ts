import type { EvidenceKind } from "../attestation/kind.ts";
import { KINDS } from "../attestation/kinds.ts";
import type { CliContext } from "./context.ts";

/**
 * Returns the kinds of evidence that a command knows. Only programs load this module, because the kinds' policy
 * sections are large.
 */
export function kindsOf({ kinds = KINDS }: Pick<CliContext, "kinds">): readonly EvidenceKind[] {
  return kinds;
}
