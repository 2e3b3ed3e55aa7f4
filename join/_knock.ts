import { onAbort } from "../platform/abortable.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { endpointText } from "../platform/endpoint.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { isResolved, unresolvedName } from "../platform/reach.ts";

/** What is needed to wait for a listener. */
export interface KnockOptions {
  /** Sleeps between the knocks, and measures the wait. */
  readonly clock: Clock;
  /** Ends the wait, with the signal's reason. */
  readonly signal: AbortSignal;
  /** Called with the reason why there is no listener, once: a dead host gives a different reason each time. */
  readonly onFailure: (error: BootstrapError) => void;
}

/**
 * The time between two knocks. It grows with the time that a node has waited: a listener is noticed after a twentieth of
 * that time more, so within half a second in the first seconds, and within 1.5 s in the first half minute. In the long
 * run 1,000 nodes that wait for three services make 40 connections a second in all.
 *
 * No knocking does better: to notice a start within 1.5 s, 1,000 nodes must make 670 connections a second to each
 * service, whoever spreads them.
 */
const FIRST_INTERVAL_MS = 300;
const SHARE_OF_WAIT = 1 / 20;
const LONGEST_INTERVAL_MS = 75_000;
/** How far an interval may vary, as a fraction, so that many nodes do not knock in step. */
const JITTER = 1 / 3;
/**
 * How long a knock waits for an answer. Others follow meanwhile, because a host that comes up answers new knocks first.
 */
const KNOCK_DEADLINE_MS = 1_500;
/**
 * The most knocks under way at one endpoint. The resolution of a name cannot be stopped, so a knock may outlast its
 * deadline.
 */
const MAXIMUM_PENDING = 8;

/**
 * Returns the time until the next knock, milliseconds.
 *
 * @param waitedMs How long the node has waited.
 * @param random From 0 to 1.
 */
export function knockIntervalMs(waitedMs: number, random: number): number {
  const intervalMs = Math.min(LONGEST_INTERVAL_MS, Math.max(FIRST_INTERVAL_MS, waitedMs * SHARE_OF_WAIT));
  return Math.round(intervalMs * (1 - JITTER + 2 * JITTER * random));
}

/**
 * Waits until there is a listener at an endpoint. It opens TCP connections and closes them at once, again and again,
 * which costs the listener next to nothing.
 */
export async function waitForListener(endpoint: Endpoint, options: KnockOptions): Promise<void> {
  const { clock, signal, onFailure } = options;
  const over = new AbortController();
  const end = AbortSignal.any([signal, over.signal]);
  const pending = new Set<Promise<void>>();
  let answered = false;
  let isReported = false;
  const knock = async () => {
    const error = await knockOnce(endpoint, end);
    if (end.aborted) return;
    if (error === undefined) {
      answered = true;
      over.abort();
    } else if (!isReported) {
      isReported = true;
      onFailure(await isResolved(endpoint.host) ? error : unresolvedName(endpoint.host, error));
    }
  };
  const startMs = clock.monotonicMs();
  for (;;) {
    signal.throwIfAborted();
    if (pending.size >= MAXIMUM_PENDING) await Promise.race(pending);
    const knocking = knock().finally(() => pending.delete(knocking));
    pending.add(knocking);
    await clock.sleep(knockIntervalMs(clock.monotonicMs() - startMs, Math.random()), end).catch(() => {});
    if (answered) return;
  }
}

/** Opens one connection, and returns the reason if that fails. */
async function knockOnce({ host, port }: Endpoint, signal: AbortSignal): Promise<BootstrapError | undefined> {
  const where = endpointText({ host, port });
  // Not AbortSignal.any(): knocking goes on for hours, and the signal would retain everything that depends on it.
  const stop = new AbortController();
  const deadline = setTimeout(() => stop.abort(), KNOCK_DEADLINE_MS);
  using _stopping = onAbort(signal, () => stop.abort());
  try {
    const connection = await Deno.connect({ hostname: host, port, signal: stop.signal });
    connection.close();
    return undefined;
  } catch (cause) {
    return stop.signal.aborted
      ? new BootstrapError("timeout/connect", `Nothing answers at ${where}`, { cause })
      : new BootstrapError("unavailable/connection", `Nothing listens at ${where}`, { cause });
  } finally {
    clearTimeout(deadline);
  }
}
