import { Patience, type PatienceClock } from "./patience.ts";

const lookEveryMs = 250;

/**
 * Runs `work` with a signal that aborts when the deadline passes before it has ended.
 *
 * @param deadlineMs milliseconds of the quiet reference machine; see {@linkcode Patience}
 * @param reason what the signal aborts with, by how long it has been in words
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
