import type { Clock } from "./clock.ts";

/**
 * Runs `work`, and tells it when its time is over.
 *
 * @param late The error for work that was not done in time.
 * @param work Gets a signal that aborts when the time is over, or when `stop` aborts. It is waited for, and so must heed
 *   the signal, such as by `abortable()`.
 * @param stop Ends the work before its time.
 * @throws The error of `late` if the time was over before `work` failed; otherwise what `work` throws.
 */
export async function withDeadline<T>(
  clock: Pick<Clock, "sleep">,
  deadlineMs: number,
  late: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
  stop?: AbortSignal,
): Promise<T> {
  const [over, ended] = [new AbortController(), new AbortController()];
  clock.sleep(deadlineMs, ended.signal).then(() => over.abort(late()), () => {});
  try {
    return await work(stop === undefined ? over.signal : AbortSignal.any([stop, over.signal]));
  } catch (error) {
    throw over.signal.aborted ? over.signal.reason : error;
  } finally {
    ended.abort();
  }
}
