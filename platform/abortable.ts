/**
 * The one place that listens to signals: every listener is removed when nothing waits for it any more. Signals of a process
 * live for months, and what hangs on them does too.
 *
 * @module
 */

/**
 * Calls `listener` when the signal aborts, at once if it has, unless it was disposed before that.
 *
 * @param signal Without one it is never called.
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): Disposable {
  if (signal?.aborted) listener();
  else signal?.addEventListener("abort", listener, { once: true });
  return { [Symbol.dispose]: () => signal?.removeEventListener("abort", listener) };
}

/**
 * Gives what `work` gives, unless the signal aborts before that.
 *
 * @throws the signal's reason; what `work` still does is not waited for then.
 */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  using _listening = onAbort(signal, () => aborted.reject(signal.reason));
  return await Promise.race([aborted.promise, work]);
}

/** Ends only with the signal, and throws its reason. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return abortable(Promise.withResolvers<never>().promise, signal);
}
