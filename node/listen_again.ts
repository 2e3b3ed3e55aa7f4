/**
 * A server that tries again while the port that it needs belongs to another program.
 *
 * @module
 */
import type { Clock } from "../platform/clock.ts";
import type { FailedTry } from "../platform/retry.ts";
import { retry } from "../platform/retry.ts";

const BACK_OFF = { firstMs: 5_000, factor: 2, longestMs: 5 * 60_000, jitter: 0.2 } as const;

/** What {@linkcode listenAgain} works with. */
export interface ListenAgainParts {
  readonly clock: Pick<Clock, "sleep">;
  /** The source of the jitter: numbers from 0 to 1. */
  readonly random: () => number;
  /** Whether other work of this process goes on meanwhile, so that there is time to wait. */
  readonly mayWait: () => boolean;
  /** Called before each pause. */
  onFailedTry(failed: FailedTry): void;
}

/**
 * Runs a server, and again when it could not listen. Any other end is the server's own.
 *
 * @param signal Ends the pauses. The server must end by itself.
 */
export async function listenAgain(
  run: () => Promise<void>,
  { clock, random, mayWait, onFailedTry }: ListenAgainParts,
  signal: AbortSignal,
): Promise<void> {
  await retry(run, {
    // Without the signal: `retry()` would leave a server that still closes.
    clock: { sleep: (ms) => clock.sleep(ms, signal) },
    ...{ random, backOff: BACK_OFF, onFailedTry },
    isRetriable: ({ code }) => code === "system/listen" && mayWait(),
  });
}
