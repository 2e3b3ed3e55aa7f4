import type { Clock } from "../platform/clock.ts";

/**
 * Asks at most once per period: every caller gets the last answer, or waits for the same one. A failure reaches every
 * caller that waits, and is not remembered.
 *
 * @param ask Gets the answer.
 * @param forMs How long an answer is valid, milliseconds from when it was asked for.
 * @param clock Measures that time.
 */
export function remembered<T>(
  ask: () => Promise<T>,
  forMs: number,
  clock: Pick<Clock, "monotonicMs">,
): () => Promise<T> {
  let last: { readonly answer: Promise<T>; readonly askedMs: number } | undefined;
  return () => {
    const nowMs = clock.monotonicMs();
    if (last !== undefined && nowMs - last.askedMs < forMs) return last.answer;
    const answer = ask();
    const asked = { answer, askedMs: nowMs };
    last = asked;
    answer.catch(() => {
      if (last === asked) last = undefined;
    });
    return answer;
  };
}
