import type { Founding as FoundingMessage } from "../proto/gen/bootstrapper.ts";
import { Founding } from "../proto/gen/bootstrapper.ts";
import type { ShownLists } from "./transcript.ts";

/**
 * The lists of a join proposal as A1 covers them: each founding in its protobuf encoding, the other items as they are.
 */
export function shownLists(
  { foundings, successions, documents }: {
    readonly foundings: readonly FoundingMessage[];
    readonly successions: readonly Uint8Array[];
    readonly documents: readonly Uint8Array[];
  },
): ShownLists {
  return { foundings: foundings.map((founding) => Founding.encode(founding).finish()), successions, documents };
}
