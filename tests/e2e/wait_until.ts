/** How long {@linkcode waitUntil} waits, and for what. */
export interface WaitOptions {
  /** What is waited for, as a noun: it goes into the error. */
  readonly what: string;
  /** Milliseconds from now. */
  readonly deadlineMs: number;
  /** Milliseconds between two checks; 100 unless given. */
  readonly everyMs?: number;
}

/**
 * Calls `check` until it gives something else than undefined or false, and returns that.
 *
 * @throws what `check` throws, and Error when the deadline has passed.
 */
export async function waitUntil<T>(
  options: WaitOptions,
  check: () => Promise<T | undefined | false>,
): Promise<T> {
  const { what, deadlineMs, everyMs = 100 } = options;
  const end = performance.now() + deadlineMs;
  for (;;) {
    const seen = await check();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() >= end) throw new Error(`Cannot go on: no ${what} after ${Math.round(deadlineMs / 1000)} s`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
