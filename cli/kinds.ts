import type { EvidenceKind } from "../attestation/kind.ts";
import { KINDS } from "../attestation/kinds.ts";
import type { CliContext } from "./context.ts";

/** The kinds of evidence that a command knows. Only programs load this: what a kind says of policies is not small. */
export function kindsOf({ kinds = KINDS }: Pick<CliContext, "kinds">): readonly EvidenceKind[] {
  return kinds;
}
