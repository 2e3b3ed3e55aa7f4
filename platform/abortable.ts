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

/**
 * Waits a second for the signal to abort.
 *
 * systemd and terminals ask every process of a unit or a group to end. A child may be gone before its parent hears of it,
 * and the parent would then take a requested end for a failure of the child.
 *
 * @returns Whether the signal is aborted.
 */
export async function isAbortedSoon(signal: AbortSignal | undefined): Promise<boolean> {
  if (signal === undefined) return false;
  const aborted = Promise.withResolvers<void>();
  using _listening = onAbort(signal, aborted.resolve);
  const timer = setTimeout(aborted.resolve, 1_000);
  await aborted.promise;
  clearTimeout(timer);
  return signal.aborted;
}
