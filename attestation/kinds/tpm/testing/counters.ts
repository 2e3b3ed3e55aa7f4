import { refusal } from "../../../../protocol/refusal.ts";
import type { EvidenceClaims } from "../../../evidence.ts";

/**
 * Checks that a TPM's counters did not go back between two pieces of evidence of the same identity. They go back if the
 * TPM's state is rolled back or cloned. Evidence without counters always passes.
 *
 * @param earlier Claims that were verified before.
 * @param later Claims that were verified now.
 * @returns Whether both are from one run of the TPM, during which its PCRs cannot have been reset.
 * @throws {BootstrapError} `refused/reset-count` if a counter went back, `refused/identity` if the identities differ.
 */
export function checkCounters(earlier: EvidenceClaims, later: EvidenceClaims): "same-run" | "later-run" {
  if (earlier.identity !== later.identity) {
    throw refusal("identity", "The evidence is of another machine", earlier.identity, later.identity);
  }
  const [before, after] = [countersOf(earlier), countersOf(later)];
  const order = after.resets - before.resets || after.restarts - before.restarts;
  if (order < 0) {
    const message = "The TPM's counters went back: its state was rolled back or cloned";
    throw refusal("reset-count", message, `${text(before)} or later`, text(after));
  }
  return order === 0 ? "same-run" : "later-run";
}

interface Counters {
  readonly resets: number;
  readonly restarts: number;
}

/** The restart counter starts again at zero with each reset (TPM 2.0 Part 1, 36.4). */
function countersOf({ resetCount = 0, restartCount = 0 }: EvidenceClaims): Counters {
  return { resets: resetCount, restarts: restartCount };
}

function text({ resets, restarts }: Counters): string {
  return `reset ${resets}, restart ${restarts}`;
}
