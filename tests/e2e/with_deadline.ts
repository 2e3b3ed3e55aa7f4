import { Patience, type PatienceClock } from "./patience.ts";

const lookEveryMs = 250;

/**
 * Runs `work` with a signal that aborts if the deadline passes before `work` has ended.
 *
 * @param deadlineMs milliseconds of the quiet reference machine; see {@linkcode Patience}
 * @param reason makes the reason with which the signal aborts from the elapsed time in words
 */
export async function withDeadline<T>(
  deadlineMs: number,
  reason: (after: string) => unknown,
  work: (signal: AbortSignal) => Promise<T>,
  clock?: PatienceClock,
): Promise<T> {
  await using patience = new Patience(deadlineMs, clock);
  const cut = new AbortController();
  const timer = setInterval(() => patience.isOver() && cut.abort(reason(patience.text)), lookEveryMs);
  try {
    return await work(cut.signal);
  } finally {
    clearInterval(timer);
  }
}
