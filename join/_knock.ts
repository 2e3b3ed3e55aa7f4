import { onAbort } from "../platform/abortable.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { endpointText } from "../platform/endpoint.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";

/** What is needed to wait for a listener. */
export interface KnockOptions {
  /** For the pauses. */
  readonly clock: Clock;
  /** Ends it, with the signal's reason. */
  readonly signal: AbortSignal;
  /** Hears why nobody is there, once: a host that is gone gives now this reason and now that. */
  readonly onFailure: (error: BootstrapError) => void;
}

/** The time between two knocks: a listener is noticed within half a second of its start, and by many nodes not in step. */
const SHORTEST_INTERVAL_MS = 200;
const LONGEST_INTERVAL_MS = 400;
/** How long a knock waits for an answer. Others follow meanwhile, for a host that comes up answers new ones soonest. */
const KNOCK_DEADLINE_MS = 1_500;
/** Knocks under way at one endpoint. A name's resolution cannot be stopped, so that they may last longer than that. */
const MAXIMUM_PENDING = 8;

/**
 * Waits until somebody listens at an endpoint: TCP connections that are closed at once, again and again, which cost the
 * listener next to nothing.
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
      onFailure(error);
    }
  };
  for (;;) {
    signal.throwIfAborted();
    if (pending.size >= MAXIMUM_PENDING) await Promise.race(pending);
    const knocking = knock().finally(() => pending.delete(knocking));
    pending.add(knocking);
    const pauseMs = SHORTEST_INTERVAL_MS + Math.random() * (LONGEST_INTERVAL_MS - SHORTEST_INTERVAL_MS);
    await clock.sleep(pauseMs, end).catch(() => {});
    if (answered) return;
  }
}

/** One connection; gives why there was none. */
async function knockOnce({ host, port }: Endpoint, signal: AbortSignal): Promise<BootstrapError | undefined> {
  const where = endpointText({ host, port });
  // Not AbortSignal.any(): this happens for hours, and the signal would keep what hangs on it.
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
      : new BootstrapError("unavailable/connection", `Nobody listens at ${where}`, { cause });
  } finally {
    clearTimeout(deadline);
  }
}
