/**
 * The only module that adds listeners to abort signals. It removes each listener when nothing waits for it any more: a
 * process's signal can live for months, and so would its listeners.
 *
 * @module
 */

/**
 * Calls `listener` when the signal aborts, or at once if it already has. Disposing the result removes the listener.
 *
 * @param signal Without a signal, `listener` is never called.
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): Disposable {
  if (signal?.aborted) listener();
  else signal?.addEventListener("abort", listener, { once: true });
  return { [Symbol.dispose]: () => signal?.removeEventListener("abort", listener) };
}

/**
 * Returns the result of `work`, unless the signal aborts first.
 *
 * @throws The signal's reason if it aborts first; `work` is then not waited for.
 */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  using _listening = onAbort(signal, () => aborted.reject(signal.reason));
  return await Promise.race([aborted.promise, work]);
}

/** Waits until the signal aborts, and throws its reason. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return abortable(Promise.withResolvers<never>().promise, signal);
}
