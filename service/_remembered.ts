import type { Clock } from "../platform/clock.ts";

/**
 * Asks at most once in a while: everybody gets what was given last, or waits for the same answer. A failure is everybody's who
 * waits, and is not remembered.
 *
 * @param ask What is asked.
 * @param forMs How long an answer is good for, milliseconds from when it was asked for.
 * @param clock Time.
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
